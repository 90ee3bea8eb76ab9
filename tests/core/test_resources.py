"""Resources of an application whose process forks."""

from __future__ import annotations

import os
from collections.abc import Callable

from longshore import Longshore


class Pool:
    """Something to be opened and closed, which tells when."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.process = os.getpid()

    def __enter__(self) -> Pool:
        self.log.append("opened")
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("closed")


def test_a_forked_child_opens_its_own_and_leaves_the_parent_s_open(
    in_child: Callable[[Callable[[], str]], str],
) -> None:
    log: list[str] = []
    app = Longshore("memory://")
    app.resources.manage(Pool, lambda: Pool(log))
    mine = app.resources.of(Pool)

    def in_the_child() -> str:
        theirs = app.resources.of(Pool)
        told = f"{theirs is not mine} {theirs.process == os.getpid()}"
        app.close()
        return f"{told} {log}"

    assert in_child(in_the_child) == "True True ['opened', 'opened', 'closed']"
    assert app.resources.of(Pool) is mine
    assert log == ["opened"]
    app.close()
