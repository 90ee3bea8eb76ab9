"""Processes that complete two jobs, each in a transaction of its application's own, and are killed within the second.

python -m transactions.payer '[[BANK, URL, FIRST, SECOND], …]'
"""

from __future__ import annotations

import json
import os
import signal
import sys

from longshore import Context, Longshore
from longshore.contract import Claim
from transactions.banks import BANKS


def pay_two(name: str, url: str, *identities: str) -> None:
    app, bank = Longshore(url), BANKS[name](url)
    runs = app.store.claim([Claim(id=identity) for identity in identities], holder="payer", limit=2).jobs

    async def pay_both() -> None:
        for run in sorted(runs, key=lambda run: identities.index(run.id)):
            async with bank.begin() as tx:
                await bank.pay(tx, run.id)
                options = type(app.call_by_name("x").options)(queue="effects", notes={"who": run.id})
                await bank.enqueue(app, app.call_by_name("effect", options=options), tx=tx)
                await bank.complete(Context(app, run), "paid", tx)
                if run.id == identities[1]:
                    os.kill(os.getpid(), signal.SIGKILL)

    bank.run(pay_both())


def is_killed(order: list[str]) -> bool:
    """Whether a child that does this is killed, as it should be."""
    child = os.fork()
    if child == 0:
        pay_two(*order)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


if __name__ == "__main__":
    alive = [order[0] for order in json.loads(sys.argv[1]) if not is_killed(order)]
    sys.exit(f"not killed: {alive}" if alive else 0)
