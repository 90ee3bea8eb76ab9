"""The kit that proves a driver, for everybody who writes one. It needs pytest and Hypothesis (``longshore[testing]``).

A whole test file::

    import pytest
    from longshore.testing import DriverSuite

    class TestMyDriver(DriverSuite):
        @pytest.fixture
        def target(self, tmp_path):
            return f"mine://{tmp_path}/store"

``target`` is fresh and empty for each test; the driver is found by the URL's scheme, or named by ``driver = MyDriver``.
``python -m longshore.testing URL`` proves a driver on a store that is there already.
"""

from __future__ import annotations

import pytest

# Before the modules with tests are imported, so that their failures show the values compared.
pytest.register_assert_rewrite(
    *(
        f"longshore.testing.{module}"
        for module in ("promises", "races", "faults", "model", "cost", "transactions", "wakeups", "samples")
    )
)

from longshore.testing.clock import ManualClock  # noqa: E402
from longshore.testing.suite import DriverSuite  # noqa: E402

__all__ = ["DriverSuite", "ManualClock"]
