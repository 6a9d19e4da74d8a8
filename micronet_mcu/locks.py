"""Locks that end with the process that holds them, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from micronet_mcu.errors import UserError

_LOCK = ".micronet.lock"
_TRIES = 20


def take(descriptor: int) -> bool:
    """Whether the open file or folder is now locked by this process; it does not wait.

    The kernel drops the lock when the descriptor is closed or its process is gone, so nobody has
    to guess whether a lock is stale. On a file system without locks the answer is always yes.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_still(descriptor: int, path: Path) -> bool:
    """Whether `path` is (still) the open file: its last owner may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Holds a folder that a command works in for longer; a second process is refused.

    The folder is created when missing, and then removed again when it is left empty.

    Raises:
        UserError: another process holds it (the message has its number), or it cannot be written.

    Example:

    >>> with locked("held"):
    ...     _ = Path("held/state.json").write_text("{}")
    """
    folder = Path(folder)
    path = folder / _LOCK
    # A folder that was there before is somebody's, empty or not.
    created = not folder.exists()
    descriptor = _locked_file(folder, path)
    try:
        yield
    finally:
        # Removed while it is held: who opens it now finds out by `is_still`.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _locked_file(folder: Path, path: Path) -> int:
    for _ in range(_TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or error
            continue  # Perhaps its last owner has just removed the empty folder.
        if not take(descriptor):
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise UserError(
                f"the folder {folder} is in use by "
                f"{f'process {holder}' if holder else 'another process'}; "
                "wait until it is done or name another output"
            )
        if is_still(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor
        os.close(descriptor)
        problem = "others use it all the time"
    raise UserError(f"cannot write {folder}: {problem}; choose another place for it")
