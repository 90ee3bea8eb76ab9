"""A server's process: on a free port of loopback, in its own directory, never outliving the process that asked."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from engines.origins import Origin
from engines.recipes import Recipe

# Reads the process to end from its standard input, a line each time it changes; the input ends when the process that
# asked for the server does, however it dies. What it has to end then, it signals, awaits for five seconds, and kills.
KEEPER = """
server=
while read -r line; do server=$line; done
if [ -n "$server" ]; then
    kill -s "$1" "$server" 2>/dev/null
    rounds=50
    while [ "$rounds" -gt 0 ] && kill -0 "$server" 2>/dev/null; do sleep 0.1; rounds=$((rounds - 1)); done
    kill -s KILL "$server" 2>/dev/null
fi
rm -rf -- "$2"
"""


class ServerFailed(Exception):
    """A server did not come up: its own last words are in the message."""


class LocalServer:
    """A server run from a program on this machine."""

    def __init__(self, recipe: Recipe, origin: Origin) -> None:
        self._recipe = recipe
        self._directory = Path(tempfile.mkdtemp(prefix="longshore-server-"))
        self._data = self._directory / "data"
        self._account = _account(recipe)
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = _start_keeper(recipe, self._directory)
        self._port = 0
        try:
            self._program = self._usable_program(origin)
            self._make_data_directory()
            self._start_on_free_port()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The URL to connect to, the same after a restart."""
        return self._recipe.url(self._port)

    @property
    def pid(self) -> int:
        """The server's process, while it runs."""
        if self._process is None:
            raise ServerFailed("the server is stopped: restart it first")
        return self._process.pid

    def stop(self) -> None:
        """End the server as an operator would; its data stays."""
        if self._process is None:
            return
        self._process.send_signal(self._recipe.stop_signal)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"{self._program.name} did not stop within 15 s and was killed") from None
        self._forget_process()

    def kill(self) -> None:
        """End the server and its children at once, as a crash would; its data stays."""
        if self._process is None:
            return
        family = [psutil.Process(self._process.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(family[1:], timeout=15)
        self._forget_process()

    def restart(self) -> None:
        """Run the server again on the same data and the same port; kill it first where it still runs."""
        self.kill()
        self._launch()
        self._await_greeting()

    def close(self) -> None:
        """End the server and remove everything it wrote."""
        if self._process is not None:
            self._process.send_signal(self._recipe.abort_signal)
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()
            self._forget_process()
        self._keeper.communicate()

    def _usable_program(self, origin: Origin) -> Path:
        """The program, copied beside the data where the account that runs it cannot reach it."""
        program = Path(origin.place)
        try:
            subprocess.run([program, "--version"], cwd="/", check=True, capture_output=True, **self._account)
        except PermissionError:
            return self._copy_of(program)
        except subprocess.CalledProcessError as problem:
            raise ServerFailed(f"{program} does not run here: {problem.stderr.decode().strip()}") from None
        return program

    def _copy_of(self, program: Path) -> Path:
        wheel = self._recipe.wheel
        if wheel is None or not program.as_posix().endswith(wheel.program):
            raise ServerFailed(f"{program} cannot be run by the account {self._account['user']!r}: make it readable")
        site = program.parents[wheel.program.count("/")]
        for tree in wheel.trees:
            shutil.copytree(site / tree, self._directory / "program" / tree, symlinks=True)
        return self._directory / "program" / wheel.program

    def _make_data_directory(self) -> None:
        self._directory.chmod(0o755)
        self._data.mkdir(mode=0o700)
        if self._account:
            shutil.chown(self._data, self._account["user"], self._account["group"])
        try:
            self._recipe.prepare(self._program, self._data, self._account)
        except subprocess.CalledProcessError as problem:
            raise ServerFailed(f"{problem.cmd[0]} failed: {problem.stderr}") from None

    def _start_on_free_port(self) -> None:
        # Between finding a port free and listening on it, another process may take it.
        for attempts_left in (2, 1, 0):
            self._port = free_port()
            self._launch()
            try:
                self._await_greeting()
            except ServerFailed:
                if self._process is not None or not attempts_left:
                    raise
            else:
                return

    def _launch(self) -> None:
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._recipe.command(self._program, self._data, self._port),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for the command, not for its server
                **self._account,
            )
        self._tell_keeper(str(self._process.pid))

    def _await_greeting(self) -> None:
        await_greeting(lambda: self._recipe.greet(self._port), self._ended_within, self._last_words)

    def _ended_within(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        self._forget_process()
        return True

    def _last_words(self) -> str:
        lines = (self._directory / "log").read_text(errors="replace").splitlines()
        return "\n".join([f"{self._program} did not come up on port {self._port}:", *lines[-20:]])

    def _forget_process(self) -> None:
        self._process = None
        self._tell_keeper("")

    def _tell_keeper(self, line: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{line}\n".encode())
        self._keeper.stdin.flush()


def await_greeting(
    greet: Callable[[], bool],
    ended_within: Callable[[float], bool],
    last_words: Callable[[], str],
    *,
    seconds: float = 40,
) -> None:
    """Return once the server takes work; raise `ServerFailed` with its last words when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while not greet():
        if ended_within(0.05) or time.monotonic() > deadline:
            raise ServerFailed(last_words())


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start_keeper(recipe: Recipe, directory: Path) -> subprocess.Popen[bytes]:
    signal_name = recipe.abort_signal.name.removeprefix("SIG")
    return subprocess.Popen(
        ["sh", "-c", KEEPER, "keeper", signal_name, str(directory)], stdin=subprocess.PIPE, start_new_session=True
    )


def _account(recipe: Recipe) -> dict[str, Any]:
    """Whom to run as: ourselves, or nobody where we are root and the program refuses that."""
    if os.geteuid() != 0 or not recipe.refuses_root:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
