"""The application of the tests of chores: one that writes down when it is done, where the environment says."""

from __future__ import annotations

import os
import threading
import time

from longshore import Longshore
from model.berth import note

app = Longshore("memory://")


@app.chore(every=0.3)
def dredge() -> None:
    log, number = os.environ["DREDGER_LOG"], time.monotonic_ns()
    note(log, "in", number)
    threading.Event().wait(0.2)
    note(log, "out", number)
