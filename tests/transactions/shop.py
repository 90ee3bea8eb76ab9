"""A process that writes a row and has a job stored after its commit, and is killed at a named point.

python -m transactions.shop DATABASE URL POINT
"""

from __future__ import annotations

import os
import signal
import sys

import sqlalchemy
from sqlalchemy.orm import Session

from longshore import Longshore


def die(*_: object) -> None:
    """Ends this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(database: str, url: str, point: str) -> None:
    app = Longshore(url)
    with Session(sqlalchemy.create_engine(f"sqlite:///{database}")) as session:
        session.execute(sqlalchemy.text("INSERT INTO sale VALUES ('ann')"))
        app.after_commit(session).enqueue(app.call_by_name("send"))
        if point == "before the commit":
            die()
        if point == "after the commit":
            sqlalchemy.event.listen(session, "after_commit", die)
        session.commit()
        die()


if __name__ == "__main__":
    main(*sys.argv[1:])
