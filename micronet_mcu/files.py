"""Reading and writing files so that a crash, a full disk or a second run loses nothing."""

import contextlib
import errno
import json
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from micronet_mcu.errors import UserError
from micronet_mcu.workplace import place_of, put, tidy, workplace

_SHOWN = 120
_LONGEST_NAME = 255  # bytes, on every file system in use
_KINDS = (
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


@contextlib.contextmanager
def replacing(path: str | os.PathLike, force: bool = True) -> Iterator[Path]:
    """Yields a temporary path for a file or a folder, which gets its name when the block succeeds.

    At every moment `path` is what it was or the whole result, also for who kills this process.
    When the block raises, whatever it left is removed. The temporary path ends in the same name
    (Keras chooses its file format by the suffix). A link is followed; the mode of what is replaced
    is kept. What killed runs left beside it is removed.

    Args:
        path: the file or folder to be written. Missing parent folders are created.
        force: replace what is there; without, it is refused, also if it came meanwhile.

    Raises:
        UserError: the place cannot be written (no permission, not a folder, disk full), is no file
            or a folder that is never replaced (see `output_path`), or another process is writing
            it.

    Example:

    >>> with replacing("out/summary.json") as temporary:
    ...     _ = temporary.write_text("{}")
    >>> Path("out/summary.json").read_text()
    '{}'
    """
    target = output_path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        tidy(target.parent)
        with workplace(target) as place:
            refuse_existing(path, force)
            yield place / target.name
            refuse_existing(path, force)
            put(place / target.name, target)
    except OSError as error:
        raise _cannot_write(path, error) from error


def output_path(path: str | os.PathLike) -> Path:
    """The absolute path of an output, links followed.

    Raises:
        UserError: no file or folder can have this name; it is a device, a pipe or a socket; or it
            is a folder that no command replaces: the current one, the home folder, one that
            contains these, a mount point, or a git work tree.
    """
    text = os.fspath(path)
    _check_name(text)
    target = None
    try:
        target = Path(os.path.realpath(text))
        mode = target.stat().st_mode
    except OSError as error:
        if target and isinstance(error, FileNotFoundError | NotADirectoryError):
            return target
        raise _cannot_write(path, error) from error
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            raise UserError(f"{path} is {kind}, which is not written to; name a file")
    if stat.S_ISDIR(mode):
        _refuse_protected(path, target)
    return target


def refuse_existing(path: str | os.PathLike, force: bool = False) -> None:
    """Raises UserError when `path` exists and `force` is not set."""
    if not force and os.path.exists(output_path(path)):
        raise UserError(
            f"{_shown(path)} exists already; name another output or give `force=True` to replace it"
        )


def check_writable(*paths: str | os.PathLike | None, inside: bool = False) -> None:
    """Says that an output cannot be written before the work, not after it.

    A file of the name is written and removed again, in a hidden folder in the nearest folder that
    exists, so that permissions, read-only disks, full disks and names too long show.

    Args:
        paths: files that will be written; None is left out.
        inside: they are folders, there already or not, that files will be written into.

    Raises:
        UserError: one of them cannot be written, or another process is writing it.

    Example:

    >>> check_writable("out/counts.json", None)
    """
    for path in paths:
        if path is not None:
            _check_writable(path, inside)


def read_bytes(path: str | os.PathLike) -> bytes:
    """The content of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {_shown(path)}: {reason}") from error


def read_json(
    path: str | os.PathLike,
    kind: str,
    fields: Mapping[str, type | tuple[type, ...]] | None = None,
    advice: str = "write it again",
) -> dict:
    """An object of a JSON file that somebody else may have written or damaged.

    Args:
        path: the file.
        kind: what it should be, for the message: "a suite of benchmarks".
        fields: names that must be there, and of which type their values are.
        advice: what to do about a file that is not like that.

    Raises:
        UserError: the file cannot be read, is no JSON or no object, or a field is missing or of
            another type.

    Example:

    >>> _ = Path("config.json").write_text('{"epochs": 20}')
    >>> read_json("config.json", "the settings of a run", {"epochs": int})["epochs"]
    20
    """
    content = read_bytes(path)
    try:
        found = json.loads(content)
        problem = None if isinstance(found, dict) else "it is no JSON object"
    except (ValueError, RecursionError) as error:
        found, problem = {}, str(error)
    for name, types in (fields or {}).items() if not problem else ():
        value = found.get(name)
        # A JSON true is no number, though Python's is.
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            problem = f"{name!r} is {_shown(repr(value))}"
    if problem:
        raise UserError(f"{_shown(path)} is not {kind} or is damaged ({problem}); {advice}")
    return found


def _check_writable(path: str | os.PathLike, folder: bool) -> None:
    target = _folder_path(path) if folder else output_path(path)
    try:
        if target.exists() and target.is_dir() != folder:
            raise UserError(f"{_shown(path)} is a {'file' if folder else 'folder'}; name another")
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _try_to_write(target / "probe" if folder else target)
        if not folder and place_of(target).exists():
            with workplace(target):
                pass  # Refused when another process is writing it at this moment.
    except OSError as error:
        raise _cannot_write(path, error) from error


def _try_to_write(target: Path) -> None:
    there = target.parent
    while not there.exists():
        there = there.parent
    tidy(there)
    with workplace(there / f"probe-{uuid.uuid4().hex}") as place:
        probe = place / target.relative_to(there)
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(bytes(4096))


def _folder_path(path: str | os.PathLike) -> Path:
    """As `output_path`, of a folder that files are written into: any may be."""
    text = os.fspath(path)
    _check_name(text)
    target = Path(os.path.realpath(text))
    return target if target.is_dir() else output_path(path)


def _check_name(text: str) -> None:
    try:
        parts = os.fsencode(text).split(b"/")
    except UnicodeEncodeError:
        parts = [b"\0"]
    if not text or any(b"\0" in part for part in parts):
        raise UserError(f"{text!r} is no name for an output; name a file or a folder")
    if any(len(part) > _LONGEST_NAME for part in parts):
        raise UserError(f"{_shown(text)} is too long a name; choose a shorter one")


def _refuse_protected(path: str | os.PathLike, folder: Path) -> None:
    current, home = (Path(os.path.realpath(place)) for place in (".", os.path.expanduser("~")))
    for what, protected in (
        ("the current folder or contains it", folder == current or folder in current.parents),
        ("the home folder or contains it", folder == home or folder in home.parents),
        ("a mount point", os.path.ismount(folder)),
        ("a git work tree", os.path.lexists(folder / ".git")),
    ):
        if protected:
            raise UserError(f"{_shown(path)} is {what}, which is never replaced; name another")


def _cannot_write(path: str | os.PathLike, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"cannot write {_shown(path)}: {reason}; choose another place for it")


def _shown(path: str | os.PathLike) -> str:
    text = os.fspath(path)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 2 :]}"
