"""Imports a file of orders: all of its rows and all of their jobs in one transaction, or none.

    python examples/import_orders.py orders.csv [--url URL]

The file has a line ``customer,amount`` for each order. The jobs write receipts; this script works them off at the end.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

from longshore import Longshore

app = Longshore("sqlite:///orders.db")


@app.task
def write_receipt(customer: str, amount: int) -> str:
    """Writes a receipt."""
    return f"{customer}, thank you for {amount}"


def main() -> int:
    """Runs the example; gives the exit code."""
    parser = argparse.ArgumentParser(description="Imports orders, and enqueues a receipt for each.")
    parser.add_argument("file", type=Path, help="lines of customer,amount")
    parser.add_argument("--url", default="sqlite:///orders.db", help="the database of the orders and of the jobs")
    options = parser.parse_args()
    app.use(options.url)
    app.store.migrate()
    engine = _engine(options.url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS imported (customer VARCHAR(100), amount INTEGER)"))
    try:
        with Session(engine) as session, session.begin():
            jobs = [_import(session, line) for line in csv.reader(options.file.read_text().splitlines())]
    except ValueError as error:
        print(f"nothing was imported: {error}", file=sys.stderr)
        return 1
    finally:
        engine.dispose()
    app.worker().run(until_empty=True)
    for job in jobs:
        print(app.job(job).result(timeout=60))
    app.close()
    return 0


def _engine(url: str) -> Engine:
    address = make_url(url)
    library = "sqlite" if address.drivername == "sqlite" else "postgresql+psycopg"
    return create_engine(address.set(drivername=library, query={}))


def _import(session: Session, line: list[str]) -> str:
    """Stores an order and its job; gives the job's id."""
    customer, amount = line[0], int(line[1])
    session.execute(text("INSERT INTO imported VALUES (:customer, :amount)"), {"customer": customer, "amount": amount})
    return app.enqueue(write_receipt.call(customer, amount), tx=session).id


if __name__ == "__main__":
    raise SystemExit(main())
