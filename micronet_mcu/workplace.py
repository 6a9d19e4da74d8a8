"""Where a result is written before it gets its name: a hidden, locked folder beside that name.

    <parent>/.micronet-1f0c3a5b7d9e/process    the number of the process that works here
                                   /new/NAME   the result in the making, under its own name
                                   /old/NAME   what NAME was, for the moment between two renames

One place serves one name, so that a second writer of the same name meets the lock of the first.
The lock ends with its process: a place that can be locked is what a killed run left, and goes at
the next run of whatever command in this parent folder.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from micronet_mcu import locks
from micronet_mcu.errors import UserError

PREFIX = ".micronet-"
# Another process may hold a place for a moment only, to tidy up.
_PATIENCE_S = 1.0
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Yields the folder `new` of the place for `path`, whose parent exists.

    Raises:
        UserError: another process is writing `path`.
        OSError: the parent cannot be written.
    """
    place = place_of(path)
    descriptor = _claim(place, path)
    try:
        (place / "process").write_text(f"{os.getpid()}\n")
        (place / "new").mkdir()
        (place / "old").mkdir()
        yield place / "new"
    finally:
        _put_back(place)
        shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def place_of(path: Path) -> Path:
    """The name is hashed: with a prefix it could become longer than file systems allow."""
    return path.parent / f"{PREFIX}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}"


def tidy(folder: Path) -> None:
    """Removes what killed runs left in `folder`, and puts back what they had set aside."""
    with contextlib.suppress(OSError):
        for place in list(folder.glob(f"{PREFIX}*")):
            with contextlib.suppress(OSError):
                _tidy(place)


def put(temporary: Path, path: Path) -> None:
    """Gives a finished file or folder in a `workplace(path)` its name, in one step.

    What had the name is replaced; its mode and, where that is allowed, its owner are kept.

    Raises:
        OSError: it cannot be renamed. What had the name still has it.
    """
    _flush(temporary)
    with contextlib.suppress(FileNotFoundError):
        _copy_mode(path, temporary)
    # A folder cannot be renamed onto a folder that is not empty.
    if not (temporary.is_dir() and path.is_dir()):
        os.replace(temporary, path)
    elif not _exchange(temporary, path):
        os.rename(path, temporary.parent.parent / "old" / path.name)
        os.rename(temporary, path)  # Should it fail, `workplace` puts the old one back.
    _sync(path.parent)


def _claim(place: Path, path: Path) -> int:
    end = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        try:
            descriptor = _open(place)
        except FileNotFoundError:
            continue  # Its owner has just removed it.
        if os.fstat(descriptor).st_uid != os.geteuid():
            os.close(descriptor)
            raise UserError(f"{place} belongs to another user; choose another place for {path}")
        if locks.take(descriptor) and locks.is_still(descriptor, place):
            _put_back(place)
            _empty(place)
            return descriptor
        os.close(descriptor)
        if time.monotonic() > end:
            raise UserError(
                f"{_holder(place)} is writing {path} at this moment; "
                "wait until it is done or name another output"
            )
        time.sleep(0.01)


def _holder(place: Path) -> str:
    with contextlib.suppress(OSError):
        if number := (place / "process").read_text().strip():
            return f"process {number}"
    return "another process"


def _tidy(place: Path) -> None:
    descriptor = _open(place)
    try:
        ours = os.fstat(descriptor).st_uid == os.geteuid()
        if ours and locks.take(descriptor) and locks.is_still(descriptor, place):
            _put_back(place)
            shutil.rmtree(place, ignore_errors=True)
    finally:
        os.close(descriptor)


def _open(place: Path) -> int:
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _put_back(place: Path) -> None:
    """Where a run was killed between two renames, its name shows the old result again."""
    with contextlib.suppress(OSError):
        for old in (place / "old").iterdir():
            if not os.path.lexists(place.parent / old.name):
                os.rename(old, place.parent / old.name)


def _empty(place: Path) -> None:
    for child in place.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), os.fspath(other))


def _copy_mode(source: Path, target: Path) -> None:
    status = source.stat()
    with contextlib.suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)


def _flush(path: Path) -> None:
    """To the disk, before the name points there: some say only now that they are full."""
    files = [path]
    if path.is_dir():
        files = [child for child in path.rglob("*") if child.is_file() and not child.is_symlink()]
    for file in files:
        _sync(file)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
