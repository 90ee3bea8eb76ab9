"""The bytes of stored jobs, on their way back through the hooks that they came by."""

from __future__ import annotations

from msgspec.structs import replace

from longshore.contract import StoredJob
from longshore.hooks.calling import Steps, ask
from longshore.hooks.events import Payload
from longshore.hooks.points import Hooks


def deserialized(hooks: Hooks, job: StoredJob) -> Steps[StoredJob]:
    """The job with the bytes of its arguments as they were before `serialize` hooks had them.

    Raises:
        InvalidValue: a hook left something else than bytes.
        Exception: whatever a hook raises.
    """
    functions = hooks.deserialize.of(job.task)
    if not functions:
        return job
    payload = Payload(job.task, job.codec, job.payload)
    yield from ask(functions[::-1], payload)
    return replace(job, payload=payload.checked())
