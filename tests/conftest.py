"""What all tests share: real servers, time budgets, and the rules of skipping."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn, cast

import hypothesis
import pytest

from budgets import Budgets, layers_in
from engines import NoServer, Server, running
from engines.origins import Source
from stores import SHARED_STORES, STORES, fresh_store

REPOSITORY = Path(__file__).parent.parent

Serve = Callable[[str], Server]


def in_ci() -> bool:
    """Whether a missing server is a failure here, not a skip."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def serve(stack: ExitStack, engine: str) -> Server:
    """A server that runs until the stack is closed; without one the test is skipped, in CI it fails.

    ``postgres@wheel`` is one from that source alone.
    """
    engine, _, source = engine.partition("@")
    try:
        return stack.enter_context(running(engine, source=cast("Source | None", source or None)))
    except NoServer as problem:
        miss(str(problem))


def miss(reason: str) -> NoReturn:
    """Skip this test because something is not there; in CI, fail it."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out the tests marked slow")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than five seconds; left out by --quick")
    config.addinivalue_line("markers", "every_engine: of the core, and an engine could bend it: runs on servers too")
    config.addinivalue_line("markers", "around: moves from each engine to the next, whichever the others run on")
    config.addinivalue_line("markers", "timed: judged by a clock; run with little beside it, and tried three times")
    config.pluginmanager.register(Budgets(layers_in(REPOSITORY / "CONTRIBUTING.md")))
    # The machines that run tests are busy, so no deadline; in CI the same examples each time.
    hypothesis.settings.register_profile("longshore", deadline=None, derandomize=in_ci(), print_blob=True)
    hypothesis.settings.load_profile("longshore")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # What a shell runs in the background ignores Ctrl-C, and so would every process of a test that presses it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timed"):
            # The clock goes on while a busy machine does something else: what is right is seen once in three tries.
            item.add_marker(pytest.mark.flaky(reruns=2))
    if config.getoption("--quick"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow, and --quick was asked for"))


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Serve]:
    """Servers that all tests use together, one for each engine, started when first asked for: `shared_server("redis")`.

    A test keeps to a namespace of its own and never stops such a server.
    """
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def get(engine: str) -> Server:
            if engine not in servers:
                servers[engine] = serve(stack, engine)
            return servers[engine]

        yield get


@pytest.fixture
def own_server() -> Iterator[Serve]:
    """Servers of one test alone, which it may stop, kill and restart: `own_server("postgres")`."""
    with ExitStack() as stack:

        def get(engine: str) -> Server:
            server = serve(stack, engine)
            if not server.ours:
                pytest.skip(f"the {engine} of the environment is not ours to stop")
            return server

        yield get


@pytest.fixture(params=STORES)
def target(request: pytest.FixtureRequest, tmp_path: Path, shared_server: Serve) -> Any:
    """An empty store of each kind that the core's suites run on, as an application takes it."""
    return fresh_store(request.param, tmp_path, shared_server)


@pytest.fixture(params=SHARED_STORES)
def shared_target(request: pytest.FixtureRequest, tmp_path: Path, shared_server: Serve) -> Any:
    """The same of each kind that several processes can use at once."""
    return fresh_store(request.param, tmp_path, shared_server)
