"""Commands to workers from afar, and their answers (docs/design/remote-control.md)."""

from longshore.remote.commands import Commands
from longshore.remote.remote import Remote, Reply

__all__ = ["Commands", "Remote", "Reply"]
