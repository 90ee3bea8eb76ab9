"""A process that enqueues calls with sets under ids of their own: says what order they have, and which jobs it got."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from longshore import Longshore
from longshore.codecs import JSON, MESSAGEPACK, Codec, Encrypted, Pickle
from longshore.errors import IdConflict

KEY = b"k" * 32
CODECS: dict[str, Codec[Any]] = {
    "json": JSON,
    "messagepack": MESSAGEPACK,
    "pickle": Pickle(keys=[KEY]),
    "encrypted": Encrypted(JSON, keys=[KEY]),
}


@dataclass
class Cargo:
    words: frozenset[str]
    more: dict[str, set[str]]


def main(url: str, *words: str) -> None:
    sys.stdout.write(" ".join(set(words)) + "\n")
    with Longshore(url) as app:
        for name, codec in CODECS.items():
            enqueue(app, name, codec, words)


def enqueue(app: Longshore, name: str, codec: Codec[Any], words: tuple[str, ...]) -> None:
    @app.task(name=name, codec=codec)
    def load(words: set[str], cargo: Cargo, anything: Any) -> None: ...

    call = load.options(id=name).call(set(words), Cargo(frozenset(words), {"all": set(words)}), set(words))
    try:
        sys.stdout.write(app.enqueue(call).id + "\n")
    except IdConflict:
        sys.stdout.write("IdConflict\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
