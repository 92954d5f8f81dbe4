"""Reading files from a folder that others can write to: bounded, never blocking, never outside of where they belong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from drip.files.tree import LARGEST


class FileTrouble(Exception):
    """A file that can't be read, in words."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def read_file(path: Path, root: Path | None = None) -> bytes:
    """The octets of a regular file, at most one more than the limit.

    Args:
        root: the folder that the file must be in once all links are followed; None allows any.

    Raises:
        FileTrouble: it is missing, no file, not readable, too large, or outside of `root`.
    """
    try:
        if root is not None and not is_inside(path, root):
            raise FileTrouble("it is a link that leads out of the project's folder", "put the file itself here")
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise FileTrouble("it is a folder, not a file" if stat.S_ISDIR(mode) else "it is not a file")
        # Without blocking: it may have become a named pipe meanwhile.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        missing = "it is a link to a file that does not exist" if path.is_symlink() else "there is no such file"
        raise FileTrouble(missing) from None
    except OSError as error:
        raise FileTrouble(f"it can't be read: {(error.strerror or str(error)).lower()}") from error
    if len(raw) > LARGEST:
        raise FileTrouble("the file is larger than 1 MiB")
    return raw


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path stays in a folder once all links are followed."""
    top = os.path.realpath(root)
    return os.path.commonpath((os.path.realpath(path), top)) == top


def list_folder(folder: Path) -> list[str]:
    """The names in a folder, sorted, without hidden ones.

    Raises:
        FileTrouble: it is missing, no folder, or not readable.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        raise FileTrouble("there is no such folder") from None
    except NotADirectoryError:
        raise FileTrouble("it is not a folder") from None
    except OSError as error:
        raise FileTrouble(f"it can't be read: {(error.strerror or str(error)).lower()}") from error
