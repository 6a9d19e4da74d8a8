"""Writing files so that a crash, a full disk or a second run never leaves half a result."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from micronet_mcu.errors import UserError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` when the block succeeds.

    The temporary name keeps the suffix (Keras chooses its file format by it) and may be used for a
    file or for a folder. When the block raises, whatever it left is removed and `path` is as it
    was.

    Args:
        path: the file or folder to be written. Missing parent folders are created.

    Raises:
        UserError: the place cannot be written (no permission, not a folder, disk full).

    Example:

    >>> with replacing("out/summary.json") as temporary:
    ...     temporary.write_text("{}")
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.is_dir() and temporary.is_dir():
            # A folder cannot be renamed onto a folder that is not empty.
            retired = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
            os.replace(path, retired)
            os.replace(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {path}: {reason}; choose another place for it") from error
    finally:
        _remove(temporary)


def refuse_existing(path: str | os.PathLike, force: bool = False) -> None:
    """Raises UserError when `path` exists and `force` is not set."""
    if not force and os.path.exists(path):
        raise UserError(f"{path} exists already; name another output or pass --force to replace it")


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        # The parent may be no folder at all; the error that matters is being raised already.
        with contextlib.suppress(OSError):
            path.unlink()
