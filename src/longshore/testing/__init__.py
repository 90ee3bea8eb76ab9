"""For tests, in two rooms: of applications, by everybody who enqueues jobs, and of drivers, by those who write one.

`longshore.testing.harness` puts an application's jobs into a store of the test's own, runs them when the test says so,
on a clock that stands still, and lets workers die. It needs nothing but Longshore; the fixtures ``longshore_app`` and
``longshore_jobs`` are there where pytest is::

    def test_who_signs_up_is_greeted(longshore_jobs):
        sign_up("Ada")
        longshore_jobs.assert_enqueued(greet, {"name": "Ada"})
        longshore_jobs.drain()

All else is the kit that proves a driver; it needs pytest and Hypothesis (``longshore[testing]``). A whole test file::

    import pytest
    from longshore.testing.suite import DriverSuite

    class TestMyDriver(DriverSuite):
        @pytest.fixture
        def target(self, tmp_path):
            return f"mine://{tmp_path}/store"

``target`` is fresh and empty for each test; the driver is found by the URL's scheme, or named by ``driver = MyDriver``.
``python -m longshore.testing URL`` proves a driver on a store that is there already.
"""

from longshore.testing.clock import ManualClock
from longshore.testing.harness import Delivery, EnqueuedJob, Harness, Ran

__all__ = ["Delivery", "EnqueuedJob", "Harness", "ManualClock", "Ran"]
