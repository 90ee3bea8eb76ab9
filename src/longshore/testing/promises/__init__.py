"""One test for each sentence of the contract; the test's docstring is the sentence."""

from __future__ import annotations

from longshore.testing.promises.claim import ClaimPromises
from longshore.testing.promises.claim_order import ClaimOrderPromises
from longshore.testing.promises.delete import DeletePromises
from longshore.testing.promises.expiry import ExpiryPromises
from longshore.testing.promises.insert import InsertPromises
from longshore.testing.promises.lifecycle import LifecyclePromises
from longshore.testing.promises.records import RecordPromises
from longshore.testing.promises.refusals import RefusalPromises
from longshore.testing.promises.restore import RestorePromises
from longshore.testing.promises.runs import RunPromises
from longshore.testing.promises.select import SelectPromises
from longshore.testing.promises.texts import TextPromises
from longshore.testing.promises.turns import TurnPromises
from longshore.testing.promises.unique import UniquePromises
from longshore.testing.promises.update import UpdatePromises


class Promises(
    InsertPromises,
    UniquePromises,
    TurnPromises,
    RestorePromises,
    TextPromises,
    ClaimPromises,
    ClaimOrderPromises,
    ExpiryPromises,
    UpdatePromises,
    RunPromises,
    SelectPromises,
    DeletePromises,
    RecordPromises,
    LifecyclePromises,
    RefusalPromises,
):
    """The contract, sentence by sentence."""


__all__ = ["Promises"]
