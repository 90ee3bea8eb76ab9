"""What a driver that promises less must refuse, and may not leave out."""

from __future__ import annotations

import time

import pytest

from longshore.contract import Change, Driver, Features, State, Write
from longshore.errors import Unsupported
from longshore.testing.fixtures import StoreFixtures
from longshore.testing.samples import new_job, put, state_of, walk


class RefusalPromises(StoreFixtures):
    """Features that are not promised."""

    def test_tx_is_refused_where_there_are_no_transactions(self, store: Driver) -> None:
        """A driver that does not promise TRANSACTIONS raises `Unsupported` for ``tx`` and for `transaction`, and does
        nothing."""
        if Features.TRANSACTIONS in store.features:
            with store.transaction() as tx:
                assert tx is not None, "TRANSACTIONS are promised, and there is none"
            return
        put(store, new_job("a"))
        with pytest.raises(Unsupported):
            store.insert([new_job("b")], tx=object())
        with pytest.raises(Unsupported):
            store.update([Change("a", State.CANCELLED)], tx=object())
        with pytest.raises(Unsupported):
            store.write([Write("k", "a", b"1")], tx=object())
        with pytest.raises(Unsupported), store.transaction():
            pass
        assert state_of(store, "a") is State.PENDING
        assert (len(walk(store)), store.read("k")) == (1, [])

    def test_a_listener_without_wake_ups_sleeps(self, store: Driver) -> None:
        """Every driver takes `wake`, and its listener's `wait` ends after the time given, or when it is interrupted,
        also by an interruption that came before."""
        listener = store.listen(["queue:mail"])
        try:
            store.wake(["queue:mail", "queue:nobody listens"])
            store.wake([])
            started = time.monotonic()
            while listener.wait(0.02):
                assert time.monotonic() - started < 5, "a listener is woken again and again by nothing"
            assert time.monotonic() - started >= 0.015, "a listener did not wait"
            listener.interrupt()
            started = time.monotonic()
            listener.wait(self.patience)
            assert time.monotonic() - started < self.patience, "an interruption that came before the wait was lost"
        finally:
            listener.close()
