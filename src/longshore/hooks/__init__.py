"""What an application adds to every job without touching its tasks (docs/design/hooks.md)."""

from longshore.hooks.events import Enqueued, Enqueuing, Payload, Settled, Starting, Worked
from longshore.hooks.points import CallNext, Hook, Hooks, Middleware, Point, TaskHooks

__all__ = [
    "CallNext",
    "Enqueued",
    "Enqueuing",
    "Hook",
    "Hooks",
    "Middleware",
    "Payload",
    "Point",
    "Settled",
    "Starting",
    "TaskHooks",
    "Worked",
]
