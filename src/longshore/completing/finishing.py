"""The change that ends a run with success: made when the run ends, or before, in the application's transaction."""

from __future__ import annotations

from typing import Any

from longshore.codecs import TypedCodec
from longshore.contract import Answer, Change, Fields, Outcome, State, StoredJob, Where
from longshore.errors import StoreError, TooLarge
from longshore.guard import Guard
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


def as_settled(store: Guard, change: Change, answer: Answer) -> Change:
    """The change by which the run was really settled: this one, to which the store has answered so, or the one that the
    run had made before in a transaction that is committed."""
    if answer.outcome is not Outcome.REPEATED or answer.state is not State.SUCCEEDED or change.to is State.SUCCEEDED:
        return change
    try:
        found = store.select(Where(ids=(change.id,)), limit=1).jobs
    except StoreError:
        return Change(change.id, State.SUCCEEDED)
    if not found or (found[0].settled, found[0].settled_by) != (change.generation, change.holder):
        return change
    fields: Fields = {"result": found[0].result, "result_codec": found[0].result_codec}
    return Change(change.id, State.SUCCEEDED, fields)
