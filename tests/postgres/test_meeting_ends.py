"""Ends, and jobs that are stored at the same moment to wait for them."""

from __future__ import annotations

from faults.meeting_ends import MeetingEnds


class TestMeetingEnds(MeetingEnds):
    looks_again = True
    looks_at_once = frozenset({"parent", "parent, exchanged"})
