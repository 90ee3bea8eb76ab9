"""A real pgbouncer in transaction mode before a server: each transaction is given any of its few connections."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from engines.process import await_greeting, free_port
from engines.server import NoServer

# Root's own PATH may lack where Debian puts it, and everybody else's does.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


@contextmanager
def pooled(url: str, *, connections: int = 5) -> Iterator[str]:
    """The URL of the same database by way of a pooler that has so many connections to it. Raises `NoServer`."""
    program = shutil.which("pgbouncer", path=_PATH)
    if program is None:
        raise NoServer("there is no pgbouncer here: install the package of that name")
    parts = urlsplit(url)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="longshore-pooler-") as directory:
        settings = Path(directory) / "pgbouncer.ini"
        settings.write_text(f"""[databases]
* = host={parts.hostname} port={parts.port} user={parts.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
""")
        Path(directory).chmod(0o755)
        log = (Path(directory) / "log").open("w+b")
        process = subprocess.Popen(
            [program, settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, user=_user()
        )
        through = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
        try:
            await_greeting(lambda: _greets(through), lambda seconds: _ended(process, seconds), lambda: _said(log.name))
            yield through
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def _user() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None  # It refuses to run as root.


def _greets(url: str) -> bool:
    try:
        with psycopg.connect(url.partition("?")[0], connect_timeout=2, prepare_threshold=None) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _said(log: str) -> str:
    return f"pgbouncer did not come up:\n{Path(log).read_text(errors='replace')}"
