"""Where what has a name lives: its home, the same for everybody who knows the same stores."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import log
from typing import Final, NamedTuple, Protocol

from longshore.contract import NewJob, StoredJob
from longshore.errors import InvalidValue

_DERIVED: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"group:(.+):done",
        r"schedule:(.+):\d{4}-\d\d-\d\dT[0-9:.]+Z",
        r"(.+):on_(?:success|failure|end)",
        r"(.+)\.again\.\d+",
        r"again\.(.+)",
    )
)
"""The ids that the core makes of others."""
_TAGGED: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}@([a-z0-9_-]{1,16})(?=[:.]|\Z)")
_BRACED: Final = re.compile(r"\{([^}]+)\}", re.DOTALL)


class Place(Protocol):
    """A store that may be a home."""

    @property
    def tag(self) -> str: ...

    @property
    def weight(self) -> float: ...


class Bond(NamedTuple):
    """What binds a job to a home.

    Attributes:
        what: the name, as a person would say it.
        home: the tag of the store.
        part: what of the name was hashed; None: it says its home itself.
    """

    what: str
    home: str
    part: str | None


class Homes:
    """The homes of names among some stores."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._tags = {place.tag for place in places}

    def of(self, name: str) -> str:
        """The tag of the store where a name lives."""
        tag, part = self._read(name)
        return tag or self._drawn(part)

    def tag_in(self, name: str) -> str | None:
        """The tag that a generated id, or what is derived from it, carries; also what only begins with it."""
        return self._read(name)[0]

    def of_job(self, job: NewJob | StoredJob) -> str:
        """The tag of the store where a job is to live.

        Raises:
            InvalidValue: its names are not of one home.
        """
        bonds = list(self._bonds(job))
        if not bonds:
            return self.of(job.id)
        if isinstance(job, NewJob):
            self._check(job, bonds)
        return bonds[0].home

    def is_bound(self, job: NewJob | StoredJob) -> bool:
        """Whether the job's own names, besides the id that was made for it, say where it lives."""
        made = self.tag_in(job.id) is not None
        named = (job.unique_key, job.key, job.group)
        return not made or isinstance(job, StoredJob) or any(name is not None for name in named)

    def _bonds(self, job: NewJob | StoredJob) -> Iterator[Bond]:
        """A restored job comes with the id that it has: where it lives its other names say, if it has any."""
        own = None if _is_derived(job.id) else self._bond("id", job.id)
        is_chosen = own is not None and own.part is not None and isinstance(job, NewJob)
        if own is not None and is_chosen:
            yield own
        if job.key is not None:
            yield self._bond("key", job.key)
        if job.unique_key is not None:
            yield self._bond("unique key", job.unique_key)
        for parent in job.parents:
            yield Bond(f"parent {parent!r}", self.of(parent), None)
        if own is not None and not is_chosen:
            yield own

    def _bond(self, kind: str, name: str) -> Bond:
        tag, part = self._read(name)
        return Bond(f"{kind} {name!r}", tag or self._drawn(part), None if tag else part)

    def _check(self, job: NewJob, bonds: Sequence[Bond]) -> None:
        """Parts that differ are refused though their homes may be the same today: with another store they are not."""
        hashed = [bond for bond in bonds if bond.part is not None]
        apart = next((bond for bond in hashed if bond.part != hashed[0].part), None)
        if apart is not None:
            raise _refusal(job, hashed[0], apart)
        elsewhere = next((bond for bond in bonds if bond.home != bonds[0].home), None)
        if elsewhere is not None:
            raise _refusal(job, bonds[0], elsewhere)

    def _read(self, name: str) -> tuple[str | None, str]:
        """The tag that a name carries, and what of it is hashed."""
        name = _origin(name)
        tagged = _TAGGED.match(name)
        if tagged and tagged[1] in self._tags:
            return tagged[1], name
        braced = _BRACED.search(name)
        return None, braced[1] if braced else name

    def _drawn(self, part: str) -> str:
        """By the highest random weight: who is added or taken away moves only a share of the names."""
        return max(self._places, key=lambda place: (_score(place, part), place.tag)).tag


def drawn_by_lot(places: Sequence[Place]) -> str:
    """The tag of one of these, at random by weight."""
    return random.choices(places, [place.weight for place in places])[0].tag


def _score(place: Place, part: str) -> float:
    """-weight / ln(u) with u uniform in (0, 1): each place is the highest as often as its weight says (Efraimidis and
    Spirakis)."""
    digest = blake2b(f"{place.tag}\0{part}".encode(errors="surrogatepass"), digest_size=6).digest()
    return -place.weight / log((int.from_bytes(digest, "big") + 0.5) / 2**48)


def _origin(name: str) -> str:
    """What an id is derived from; itself if from nothing."""
    while match := next((found for form in _DERIVED if (found := form.fullmatch(name))), None):
        name = match[1]
    return name


def _is_derived(name: str) -> bool:
    return _origin(name) != name


def _refusal(job: NewJob, one: Bond, other: Bond) -> InvalidValue:
    return InvalidValue(
        f"expected all names of a job of {job.task} to have one home; its {one.what} and its {other.what} have not, "
        "and several stores keep each name in one of them: leave its own id out, or give the names a common part in "
        "braces, of which alone the home is made, as in {customer-7}:invoice"
    )
