"""Claims within the rooms that limits leave: never more than there is room for, and in the end all that there is."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from longshore.contract import Claim, State, StoredJob
from longshore.worker.claims.order import QueueOrder, Rooms
from longshore.worker.settings import WorkerSettings

QUEUES = tuple("abcdef")
TASKS = frozenset("uvwxyz")
MOST = 16

orders = st.sampled_from(
    [
        WorkerSettings(queues=QUEUES),
        WorkerSettings(queues=QUEUES, order="strict"),
        WorkerSettings(queues=QUEUES, weights={queue: number + 1 for number, queue in enumerate(QUEUES)}),
    ]
)
some_rooms = st.builds(
    Rooms,
    st.dictionaries(st.sampled_from(QUEUES), st.integers(0, 30)),
    st.dictionaries(st.sampled_from(sorted(TASKS)), st.integers(0, 30)),
)


def drawn(claims: list[Claim], wanted: int, *, queue: str | None = None, task: str | None = None) -> int:
    """How many jobs of a queue or a task these claims could bring."""
    return sum(
        wanted if claim.limit is None else claim.limit
        for claim in claims
        if (queue is None or queue in claim.queues) and (task is None or task in (claim.tasks or ()))
    )


@given(settings=orders, rooms=some_rooms, wanted=st.integers(1, 40), calls=st.integers(1, 5))
def test_no_call_can_bring_more_than_there_is_room_for(
    settings: WorkerSettings, rooms: Rooms, wanted: int, calls: int
) -> None:
    order = QueueOrder(settings)
    for _ in range(calls):
        claims = order.claims(wanted, TASKS, rooms)
        assert len(claims) <= MOST
        for queue, room in rooms.queues.items():
            assert min(wanted, drawn(claims, wanted, queue=queue)) <= room
        for task, room in rooms.tasks.items():
            assert min(wanted, drawn(claims, wanted, task=task)) <= room


@given(settings=orders, rooms=some_rooms, wanted=st.integers(1, 40))
def test_in_a_few_calls_all_is_searched_that_there_is_room_for(
    settings: WorkerSettings, rooms: Rooms, wanted: int
) -> None:
    order = QueueOrder(settings)
    searched: set[tuple[str, str]] = set()
    for _ in range((len(QUEUES) + 1) * (len(TASKS) + 1)):
        for claim in order.claims(wanted, TASKS, rooms):
            searched |= {(queue, task) for queue in claim.queues for task in claim.tasks or ()}
        if order.searched_all:
            break
    assert order.searched_all
    open_queues = {queue for queue in QUEUES if rooms.queues.get(queue, 1)}
    open_tasks = {task for task in TASKS if rooms.tasks.get(task, 1)}
    assert searched == {(queue, task) for queue in open_queues for task in open_tasks}


def test_rooms_that_suffice_cost_no_claim() -> None:
    order = QueueOrder(WorkerSettings(queues=QUEUES))
    enough = Rooms(dict.fromkeys(QUEUES, 10), dict.fromkeys(TASKS, 10))
    assert order.claims(10, TASKS, enough) == [Claim(QUEUES, TASKS)]


def test_in_strict_order_a_queue_that_is_nearly_full_keeps_its_place() -> None:
    order = QueueOrder(WorkerSettings(queues=("high", "low"), order="strict"))
    high, low = order.claims(5, TASKS, Rooms({"high": 2}))
    assert (high.queues, high.limit, low.queues, low.limit) == (("high",), 2, ("low",), None)


def test_without_room_nothing_is_asked_for() -> None:
    order = QueueOrder(WorkerSettings(queues=("high", "low")))
    assert order.claims(5, TASKS, Rooms({"high": 0, "low": 0})) == []
    assert order.claims(5, TASKS, Rooms({}, dict.fromkeys(TASKS, 0))) == []
    assert order.searched_all


@example(
    # The first claim is full before the limited ones are served; then who comes first is a matter of luck.
    settings=WorkerSettings(queues=QUEUES),
    rooms=Rooms({"b": 1, "c": 1, "d": 1}, {"v": 1}),
    wanted=2,
    there={("a", "u"): 2, ("b", "v"): 1},
)
@example(
    # A queue becomes limited in the middle of the search.
    settings=WorkerSettings(queues=QUEUES, order="strict"),
    rooms=Rooms({"e": 21, "d": 3}, {"w": 15, "y": 3, "v": 12, "u": 15}),
    wanted=21,
    there={("e", "x"): 15, ("e", "z"): 6, ("d", "y"): 9, ("f", "z"): 14, ("b", "y"): 19},
)
@given(
    settings=orders,
    rooms=some_rooms,
    wanted=st.integers(1, 40),
    there=st.dictionaries(st.tuples(st.sampled_from(QUEUES), st.sampled_from(sorted(TASKS))), st.integers(1, 20)),
)
def test_who_has_searched_all_and_found_nothing_leaves_nothing_that_there_is_room_for(
    settings: WorkerSettings, rooms: Rooms, wanted: int, there: dict[tuple[str, str], int]
) -> None:
    order, left = QueueOrder(settings), dict(there)
    queues, tasks = dict(rooms.queues), dict(rooms.tasks)
    has_found_nothing = False
    while not has_found_nothing:
        brought = served(order.claims(wanted, TASKS, Rooms(queues, tasks)), left, wanted)
        order.brought(brought)
        for job in brought:
            for room, name in ((queues, job.queue), (tasks, job.task)):
                if name in room:
                    room[name] -= 1
        has_found_nothing = not brought and order.searched_all
    assert not [
        (queue, task)
        for (queue, task), number in left.items()
        if number and queues.get(queue, 1) and tasks.get(task, 1)
    ]


def served(claims: list[Claim], left: dict[tuple[str, str], int], most: int) -> list[StoredJob]:
    """What a store would bring, and take from what is left."""
    jobs: list[StoredJob] = []
    for claim in claims:
        room = most - len(jobs) if claim.limit is None else min(claim.limit, most - len(jobs))
        for (queue, task), number in left.items():
            taken = min(room, number) if queue in claim.queues and task in (claim.tasks or ()) else 0
            left[queue, task] -= taken
            room -= taken
            jobs += [a_job(queue, task)] * taken
    return jobs


def a_job(queue: str, task: str) -> StoredJob:
    return StoredJob("j", queue, task, State.RUNNING, 0, 0, 0, "json", b"", b"")
