"""One folder that holds one snapshot: locked, read, and replaced whole.

What makes it safe:

- The lock is taken on the folder itself, which is opened anew for each call. So threads and processes exclude each
  other alike, nothing is open between calls that a fork could share, and a process that is killed leaves no lock.
- A new snapshot is written beside the old one, brought to the disk, and then renamed over it: whoever is killed, and
  whenever the power goes, the folder holds one of the two, whole.
- A checksum tells a damaged file from a sound one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import DecodeError
from msgspec.msgpack import Decoder, Encoder

from longshore.errors import ConfigurationError, Corrupt, SchemaError, StoreFull, Unavailable
from longshore_folder.snapshot import Snapshot

MAGIC: Final = b"LSFD"
VERSION: Final = 1
"""Of the layout that this code writes."""
READABLE_FROM: Final = 1
"""The oldest layout whose code can go on reading and writing what this code writes."""
HEADER: Final = struct.Struct(">4sHHI")
"""Magic, version, readable_from, and the checksum of all that follows."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_OURS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG})


class Folder:
    """The snapshot of one namespace, in a folder of its own.

    Raises:
        SchemaError: it was not migrated yet, or is of a newer layout.
        ConfigurationError: this process may not read or write there.
        StoreFull: there is no room for a second snapshot beside the first; nothing was stored.
        Corrupt: the file is damaged.
        Unavailable: the disk failed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path / "snapshot"
        self._new = path / "snapshot.new"  # One writer at a time, so one name; what a killed one left is overwritten.
        self._decoder = Decoder(Snapshot)
        self._encoder = Encoder()

    def create(self) -> None:
        """Makes the folder and an empty snapshot, unless they are there."""
        with self._translated():
            for folder in (self.path.parent, self.path):
                _make(folder)
            with self._locked() as descriptor:
                if not self._file.exists():
                    self._replace(self._encoder.encode(Snapshot()))
                self._settle(descriptor)
                self._decoded(self._file.read_bytes())

    def read(self) -> Snapshot:
        """What is stored now."""
        with self._translated():
            with self._locked():
                data = self._file.read_bytes()
            return self._decoded(data)

    @contextmanager
    def change(self) -> Iterator[Snapshot]:
        """What is stored now, for the caller alone; what it makes of it is stored at the end of the block, unless the
        block raises."""
        with self._translated(), self._locked() as descriptor:
            data = self._file.read_bytes()
            snapshot = self._decoded(data)
            yield snapshot
            encoded = self._encoder.encode(snapshot)
            if encoded != data[HEADER.size :]:
                self._replace(encoded)
            # Also where nothing changed: the writer before us may have died between its rename and this, and what we
            # answer rests on what it wrote.
            self._settle(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Readers take it for themselves alone as well: many short shared locks could keep a writer out for ever.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            # Closing is not enough: a child forked by another thread meanwhile has a copy that would keep the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _replace(self, encoded: bytes) -> None:
        header = HEADER.pack(MAGIC, VERSION, READABLE_FROM, zlib.crc32(encoded))
        try:
            with self._new.open("wb") as file:
                file.write(header)
                file.write(encoded)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._new.unlink(missing_ok=True)
            raise
        self._new.replace(self._file)

    def _settle(self, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            # The rename has happened, so whatever the reason, nobody may say that nothing was stored.
            raise Unavailable(f"{self.path} could not be brought to the disk ({error}); send the call again") from error

    def _decoded(self, data: bytes) -> Snapshot:
        if len(data) < HEADER.size:
            raise Corrupt(f"expected a snapshot in {self._file}, got {len(data)} bytes; restore it from a backup")
        magic, version, readable_from, checksum = HEADER.unpack_from(data)
        if magic != MAGIC:
            raise Corrupt(f"expected a snapshot in {self._file}, got another kind of file; restore it from a backup")
        if readable_from > VERSION:
            raise SchemaError(f"{self._file} is of layout {version}, this driver knows {VERSION}; install a newer one")
        body = memoryview(data)[HEADER.size :]
        if zlib.crc32(body) != checksum:
            raise Corrupt(f"the checksum of {self._file} is wrong: it is damaged; restore it from a backup")
        try:
            return self._decoder.decode(body)
        except DecodeError as error:
            raise Corrupt(f"{self._file} cannot be read ({error}); restore it from a backup") from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise SchemaError(f"there is no store in {self.path} yet; call migrate()") from error
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StoreFull(
                    f"{self.path} has no room for another snapshot ({error}); nothing was stored"
                ) from error
            if error.errno in NOT_OURS:
                raise ConfigurationError(
                    f"expected a folder that this process may read and write, got {self.path} ({error})"
                ) from error
            raise Unavailable(f"{self.path} does not answer ({error})") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        return
    except FileNotFoundError as error:
        raise ConfigurationError(f"expected the folder {folder.parent} to be there; make it first") from error
    # A new folder is only safe when the one that holds it knows.
    descriptor = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
