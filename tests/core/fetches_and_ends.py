"""A process that fetches two jobs, starts one, keeps both, and ends as it is told."""

from __future__ import annotations

import os
import sys

from longshore import Longshore

KEPT = []


def main(url: str, end: str) -> None:
    app = Longshore(url)
    fetch = app.fetch("default", limit=2)
    KEPT.extend([fetch, *fetch.take()])
    KEPT[1].start()
    if end == "forks" and os.fork() == 0:
        sys.exit()  # A child holds nothing, whatever its memory says.
    if end == "forks":
        os.wait()
        held = app.store.select().jobs
        sys.stdout.write(f"{sorted(job.state.name for job in held)}\n")
    if end == "dies":
        os._exit(1)
    if end == "raises":
        raise SystemExit("in the midst of it")


if __name__ == "__main__":
    main(*sys.argv[1:])
