"""The change that ends a run with success."""

from __future__ import annotations

from typing import Any

from longshore.codecs import TypedCodec
from longshore.contract import Change, StoredJob
from longshore.errors import TooLarge
from longshore.states import FINISH, move


def finished(job: StoredJob, result: Any, codec: TypedCodec[Any], most: int) -> Change:
    """The change by which a job succeeds with a result.

    Args:
        job: as its run holds it.
        result: what the task gave; None is not stored.
        codec: how results of the task are stored.
        most: bytes that a result may take.

    Raises:
        InvalidValue: the result is not what the task says that it returns.
        TooLarge: it takes more bytes.
    """
    if result is None:
        return move(FINISH, job)
    data = codec.encode(result)
    if len(data) > most:
        raise TooLarge(f"its result takes {len(data):,} bytes, more than the {most:,} allowed")
    codec.decode(data, codec.name)  # Who asks for the result must get one that is what the task says it returns.
    return move(FINISH, job, {"result": data, "result_codec": codec.name})
