"""Schedules: jobs by the clock, without a leader (docs/design/schedules.md).

`Cron` and `Every` say when.
"""

from longshore.schedules.cron import Cron
from longshore.schedules.every import Every

__all__ = ["Cron", "Every"]
