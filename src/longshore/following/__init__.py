"""What follows from the end of a job: its children, the next of its key, its group's callback.

See docs/design/following.md. Whoever ends jobs asks `ended` for each, and gives what it answers to `follow`; whoever
inserts WAITING jobs gives their ids to `look`. All of it is decided here, and may be done twice without harm.
"""

from longshore.following.ends import Ended, ended, removed
from longshore.following.family import descendants
from longshore.following.follower import STEPS, Follower, follow, look, mend
from longshore.following.groups import CALLED, SEALED, callback_id, complete, seal
from longshore.following.parents import PARENT_FAILED, Fate, fate_of, is_callback

__all__ = [
    "CALLED",
    "PARENT_FAILED",
    "SEALED",
    "STEPS",
    "Ended",
    "Fate",
    "Follower",
    "callback_id",
    "complete",
    "descendants",
    "ended",
    "fate_of",
    "follow",
    "is_callback",
    "look",
    "mend",
    "removed",
    "seal",
]
