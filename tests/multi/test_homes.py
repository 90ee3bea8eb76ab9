"""Where what has a name lives."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest

from longshore.contract import Insertion, State, StoredJob, Where, Write
from longshore.errors import InvalidValue
from longshore.ids import IdMaker
from longshore_multi.homes import Homes
from multi.conftest import Connect, job

NAMES = [f"name {number}" for number in range(4_000)]
MADE = IdMaker()()


class Place(NamedTuple):
    tag: str
    weight: float = 1.0


A, B, C = Place("a"), Place("b"), Place("c")


def test_a_home_does_not_depend_on_the_order_of_the_stores() -> None:
    one, other = Homes([A, B, C]), Homes([C, A, B])
    assert [one.of(name) for name in NAMES] == [other.of(name) for name in NAMES]


def test_names_are_shared_out_by_weight() -> None:
    for places in ([A, B, C], [Place("a", 2.0), B, Place("c", 0.5)]):
        found = Counter(map(Homes(places).of, NAMES))
        whole = sum(place.weight for place in places)
        for place in places:
            expected = len(NAMES) * place.weight / whole
            assert abs(found[place.tag] - expected) < 5 * expected**0.5


def test_a_store_that_is_added_draws_only_its_own_share() -> None:
    before, after = Homes([A, B]), Homes([A, B, C])
    moved = [name for name in NAMES if before.of(name) != after.of(name)]
    assert {after.of(name) for name in moved} == {"c"}
    assert abs(len(moved) - len(NAMES) / 3) < 5 * (len(NAMES) / 3) ** 0.5


def test_only_what_is_in_braces_is_hashed() -> None:
    homes = Homes([A, B, C])
    for number in range(50):
        names = (f"{{customer-{number}}}:invoice", f"order:{{customer-{number}}}", f"customer-{number}")
        assert len({homes.of(name) for name in names}) == 1
    assert len({homes.of(f"{{}}{number}") for number in range(50)}) == 3, "nothing in braces is no part"


@pytest.mark.parametrize(
    "derived",
    ["{0}:on_success", "{0}:on_end:on_failure", "group:{0}:done", "{0}.again.3", "schedule:{0}:2026-01-02T03:04:05Z"],
)
def test_what_is_derived_from_a_name_has_its_home(derived: str) -> None:
    homes = Homes([A, B, C])
    for name in (*NAMES[:50], f"{MADE}@b", "{x}:y"):
        assert homes.of(derived.format(name)) == homes.of(name)


def test_a_made_id_says_its_store_unless_that_is_unknown() -> None:
    homes = Homes([A, B, C])
    assert [homes.of(f"{MADE}@{tag}") for tag in "abc"] == ["a", "b", "c"]
    assert homes.tag_in(f"{MADE}@north") is None
    assert homes.tag_in(f"{MADE}@a:3:00001") == "a"
    assert homes.tag_in("order@a") is None, "only ids that were made here carry tags"


def test_names_of_a_job_that_are_not_of_one_home_are_refused_wherever_they_are(
    connect: Connect, files: list[str]
) -> None:
    store = connect(files)
    together: list[dict[str, Any]] = [
        {"key": "customer 7"},
        {"unique_key": "send:x"},
        {"key": "customer 7", "unique_key": "send:customer 7"},
    ]
    for names in together:
        for number in range(8):  # Whether their homes are the same by chance or not.
            with pytest.raises(InvalidValue, match=r"leave its own id out.*braces"):
                store.insert([job("neighbour"), job(f"order {number}", **names)])
    assert store.select(Where()).jobs == [], "a job that was refused left its neighbours stored"


def test_names_with_one_part_in_braces_go_together(connect: Connect, files: list[str]) -> None:
    store = connect(files)
    for number in range(10):
        part = f"{{customer-{number}}}"
        (answer,) = store.insert(
            [job(f"{part}:order", key=part, unique_key=f"send:{part}:x", parents=(f"{part}:first",))]
        )
        assert answer.outcome is Insertion.INSERTED


def test_parents_of_different_homes_are_refused_by_name(connect: Connect, files: list[str]) -> None:
    store = connect(files)
    here, there = f"{MADE}@east", f"{IdMaker()()}@west"
    with pytest.raises(InvalidValue, match=f"parent '{here}' and its parent '{there}'"):
        store.insert([job(store.name(IdMaker()(), beside=[here]), parents=(here, there))])


def test_a_made_id_goes_with_any_one_name(connect: Connect, files: list[str]) -> None:
    store = connect(files)
    for number in range(20):
        names: dict[str, Any] = {"key": f"k {number}"} if number % 2 else {"unique_key": f"u {number}"}
        identity = store.name(IdMaker()(), beside=list(names.values()))
        assert store.insert([job(identity, **names)])[0].outcome is Insertion.INSERTED
        assert identity.endswith(f"@{store._homes.of(next(iter(names.values())))}")


def test_a_restored_job_lives_where_its_key_does_and_is_found_by_its_id(connect: Connect, files: list[str]) -> None:
    store = connect(files)
    names = [f"old {number}" for number in range(12)]
    values: dict[str, Any] = {
        "state": State.PENDING,
        "priority": 0,
        "created": 1,
        "due": 1,
        "codec": "json",
        "digest": b"",
    }
    for name in names:
        restored = StoredJob(id=name, queue="mail", task="send", payload=b"", key="account", **values)
        assert store.insert([restored])[0].outcome is Insertion.INSERTED
    home = next(part for part in store.parts if part.tag == store._homes.of("account"))
    assert len(home.select(Where()).jobs) == len(names)
    found = store.select(Where(ids=[*names, "nobody"]), limit=100).jobs
    assert {found_job.id for found_job in found} == set(names)
    walked, after = [], None
    while True:
        page = store.select(Where(ids=names), limit=5, after=after)
        walked += [found_job.id for found_job in page.jobs]
        after = page.after
        if after is None:
            break
    assert sorted(walked) == sorted(names)
    assert sorted(store.delete(Where(ids=names))) == sorted(names)


def test_records_live_at_the_home_of_their_key(connect: Connect, files: list[str]) -> None:
    store = connect(files)
    store.write([Write("lock", name, b"x", 0) for name in NAMES[:40]])
    for part in store.parts:
        kept = [record.key for record in part.read("lock")]
        assert kept == sorted(name for name in NAMES[:40] if store._homes.of(name) == part.tag)
    assert [record.key for record in store.read("lock")] == sorted(NAMES[:40])
    assert [record.key for record in store.read("lock", limit=7, after="name 2")] == sorted(NAMES[:40])[13:20]


def test_leases_and_seals_are_in_each(connect: Connect, files: list[str]) -> None:
    store = connect(files)
    store.write([Write("moving", "away", b"x")])
    assert all(part.read("moving") for part in store.parts)
    store.parts[1].write([Write("holder", "anna", b"x")])
    assert [record.key for record in store.read("holder", ["anna", "bert"])] == ["anna"]
    store.write([Write("holder", "anna", None)])
    assert not any(part.read("holder") for part in store.parts)
