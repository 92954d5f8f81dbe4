"""A small disk of one's own: a tmpfs in a mount namespace that ends with the process, so that nothing is left behind.

Root may do this, and so may everybody where the system has user namespaces (unshare(2), user_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import os
import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from tests.faults.processes import fork

T = TypeVar("T")

_NEW_MOUNTS, _NEW_USERS = 0x20000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_PRIVATE = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE
_libc = ctypes.CDLL(None, use_errno=True)


def in_own_mounts(work: Callable[[], T], folder: Path) -> T:
    """What `work` returns, in a process that may `mount_tmpfs`; `folder` is for the answer.

    Raises:
        AssertionError: it raised; its traceback is the message.
    """
    answer = folder / "answer.pickle"

    def apart() -> None:
        _leave()
        try:
            found: object = work()
        except Exception:
            found = AssertionError(traceback.format_exc())
        answer.write_bytes(pickle.dumps(found))

    child = fork(apart, folder / "apart.txt")
    code = child.wait(300)
    assert code == 0, child.errors
    found = pickle.loads(answer.read_bytes())
    if isinstance(found, AssertionError):
        raise found
    return found  # type: ignore[no-any-return]


def mount_tmpfs(folder: Path, size: int) -> None:
    """Make a folder a disk of so many octets.

    Raises:
        OSError: this system does not allow it.
    """
    folder.mkdir(exist_ok=True)
    _call(_libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=%d,mode=700" % size))


@cache
def mountable() -> bool:
    """Whether this system lets us."""

    def attempt() -> None:
        _leave()
        _call(_libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"size=65536"))

    return fork(attempt).wait() == 0


def _leave() -> None:
    """Go into a mount namespace of our own."""
    user, group = os.geteuid(), os.getegid()
    _call(_libc.unshare(_NEW_MOUNTS | (_NEW_USERS if user else 0)))
    if user:
        with suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _call(_libc.mount(b"none", b"/", None, _PRIVATE, None))


def _call(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
