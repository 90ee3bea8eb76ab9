"""The folder driver, proven by the kit; and what is private to it: its file, its disk, its URL."""

from __future__ import annotations

import os
import resource
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from longshore.contract import NewJob, Where, Write
from longshore.errors import ConfigurationError, Corrupt, SchemaError, StoreFull
from longshore.testing.suite import DriverSuite
from longshore_folder.driver import FolderDriver
from longshore_folder.folder import HEADER, Folder


class TestFolderDriver(DriverSuite):
    """Everything that the contract promises."""

    @pytest.fixture
    def target(self, tmp_path: Path) -> str:
        """A folder that is not there yet."""
        return f"folder://{tmp_path}/store"


@pytest.fixture
def store(tmp_path: Path) -> FolderDriver:
    """A store with one job."""
    driver = FolderDriver.connect(f"folder://{tmp_path}/store")
    driver.migrate()
    driver.insert([a_job("kept")])
    return driver


@pytest.fixture
def file(store: FolderDriver) -> Path:
    """Where that store is."""
    return Path(urlsplit(store.target).path, "longshore", "snapshot")


def a_job(identity: str, size: int = 10) -> NewJob:
    """A job that is not remarkable."""
    return NewJob(identity, "mail", "send", b"x" * size)


def ids(store: FolderDriver) -> list[str]:
    """The jobs that are stored."""
    return sorted(job.id for job in store.select(Where()).jobs)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Lets the system refuse to write more into a file, as it does where the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_another_connection_takes_the_target(store: FolderDriver) -> None:
    """`target` is a URL that leads to the same namespace of the same folder."""
    beside = FolderDriver.connect(store.target, namespace="beside")
    beside.migrate()
    beside.insert([a_job("other")])
    assert ids(FolderDriver.connect(store.target)) == ["kept"]
    assert ids(FolderDriver.connect(beside.target)) == ["other"]


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """A name that a URL must quote is unquoted, and quoted again in `target`."""
    driver = FolderDriver.connect(f"folder://{tmp_path}/a%20%3F%23%25%C3%A4")
    driver.migrate()
    assert (tmp_path / "a ?#%ä" / "longshore" / "snapshot").is_file()
    driver.insert([a_job("a")])
    assert ids(FolderDriver.connect(driver.target)) == ["a"]


@pytest.mark.parametrize(
    "url",
    [
        "folder:relative",
        "folder://host/path",
        "folder:///path#part",
        "folder:///path?namespace=",
        "folder:///path?namespace=..",
        "folder:///path?namespace=a/b",
    ],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    """A URL that names no folder of its own is refused before anything is made."""
    with pytest.raises(ConfigurationError):
        FolderDriver.connect(url)


def test_a_store_must_be_migrated_first(tmp_path: Path) -> None:
    """Connecting makes nothing; what is used too early says what to do."""
    driver = FolderDriver.connect(f"folder://{tmp_path}/store")
    assert not (tmp_path / "store").exists()
    with pytest.raises(SchemaError, match="migrate"):
        driver.insert([a_job("a")])
    with pytest.raises(SchemaError, match="migrate"):
        driver.select(Where())


def test_the_folder_around_it_must_be_there(tmp_path: Path) -> None:
    """A folder is not made where a disk is perhaps not mounted."""
    with pytest.raises(ConfigurationError, match="make it first"):
        FolderDriver.connect(f"folder://{tmp_path}/missing/store").migrate()


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """Where a file stands no folder can be made."""
    (tmp_path / "store").write_text("mine")
    with pytest.raises(ConfigurationError, match="read and write"):
        FolderDriver.connect(f"folder://{tmp_path}/store").migrate()
    assert (tmp_path / "store").read_text() == "mine"


def test_a_damaged_file_is_noticed(store: FolderDriver, file: Path) -> None:
    """Each changed byte and each missing end is noticed, and the file is left for who can repair it."""
    sound = file.read_bytes()
    damaged = [sound[:end] for end in range(len(sound))]
    damaged += [sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :] for at in range(HEADER.size, len(sound))]
    for data in damaged:
        file.write_bytes(data)
        with pytest.raises(Corrupt):
            store.select(Where())
    with pytest.raises(Corrupt):
        store.insert([a_job("a")])
    with pytest.raises(Corrupt):
        store.migrate()
    assert file.read_bytes() == damaged[-1]


def test_a_newer_layout_is_not_touched(store: FolderDriver, file: Path) -> None:
    """A file that only newer code can read is refused and stays as it is; one that this code can read is read."""
    magic, version, readable_from, checksum = HEADER.unpack_from(sound := file.read_bytes())
    newer = HEADER.pack(magic, version + 1, version + 1, checksum) + sound[HEADER.size :]
    file.write_bytes(newer)
    with pytest.raises(SchemaError, match="newer"):
        store.insert([a_job("a")])
    with pytest.raises(SchemaError, match="newer"):
        store.migrate()
    assert file.read_bytes() == newer
    file.write_bytes(HEADER.pack(magic, version + 1, readable_from, checksum) + sound[HEADER.size :])
    assert ids(store) == ["kept"]


def test_a_full_disk_stores_nothing_and_spoils_nothing(store: FolderDriver, file: Path) -> None:
    """Where there is no room the call says so, all that was stored is there, and nothing is left beside it."""
    with files_no_larger_than(20_000):
        with pytest.raises(StoreFull, match="nothing was stored"):
            store.insert([a_job("large", size=50_000)])
        with pytest.raises(StoreFull, match="nothing was stored"):
            store.write([Write("k", "a", b"x" * 50_000)])
        assert [path.name for path in file.parent.iterdir()] == ["snapshot"]
        assert (ids(store), store.read("k")) == (["kept"], [])
        store.insert([a_job("small")])
    store.insert([a_job("large", size=50_000)])
    assert ids(store) == ["kept", "large", "small"]


def test_what_a_killed_writer_left_is_no_harm(store: FolderDriver, file: Path) -> None:
    """A half-written new snapshot is never read, and is replaced by the next."""
    file.with_name("snapshot.new").write_bytes(b"half")
    assert ids(store) == ["kept"]
    store.insert([a_job("a")])
    assert ids(store) == ["a", "kept"]
    assert [path.name for path in file.parent.iterdir()] == ["snapshot"]


def test_a_child_forked_in_the_middle_of_a_call_keeps_no_lock(store: FolderDriver, file: Path) -> None:
    """What another thread forks while a call holds the lock does not hold it on."""
    with Folder(file.parent).change():
        child = fork_a_sleeper()
    with ThreadPoolExecutor(1) as pool:
        try:
            assert pool.submit(ids, store).result(timeout=10) == ["kept"]
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def fork_a_sleeper() -> int:
    """A child that does nothing until it is killed, and ends by itself if it is forgotten."""
    with warnings.catch_warnings():
        # The child takes no lock that another thread of the tests may hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.alarm(60)
        signal.pause()
    return child


def test_a_call_that_changes_nothing_writes_nothing(store: FolderDriver, file: Path) -> None:
    """A repeat, a refusal and an empty claim leave the very file that was there."""
    before = file.stat().st_ino, file.stat().st_mtime_ns
    store.insert([a_job("kept")])
    store.claim([], holder="anna", limit=1)
    store.write([Write("k", "a", b"1", version=7)])
    store.migrate()
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == before
