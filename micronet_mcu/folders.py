"""Folders that a command writes as a whole, and may replace because it knows its own."""

import contextlib
import fnmatch
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from micronet_mcu import files
from micronet_mcu.errors import UserError
from micronet_mcu.version import __version__

MARKER = ".micronet.json"


@dataclass(frozen=True)
class Owner:
    """A command that writes whole folders.

    Attributes:
        command: its name, as the marker has it.
        known: patterns of relative file names. A folder without a marker, from before there were
            markers, is this command's when it has such files and nothing else.
    """

    command: str
    known: tuple[str, ...]


# What conversion writes, whoever calls it.
CONVERTED = Owner("convert", ("*.tflite", "*_data.h", "*_data.cc", "*_detector.h", "op_resolver.h"))


def check_folder(path: str | os.PathLike, owner: Owner, force: bool = False) -> None:
    """Says before the work whether `replacing_folder` would take this folder.

    Raises:
        UserError: it exists and `force` is not set; it exists and another command or somebody else
            made it; it is never replaced, see `files.output_path`; it cannot be written.
    """
    target = files.output_path(path)
    files.refuse_existing(path, force)
    if target.is_dir():
        _foreign(path, target, owner)
        files.check_writable(target.parent, inside=True)
    else:
        files.check_writable(path)
        _refuse_file(path, target)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike, owner: Owner, force: bool = False) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` when the block succeeds, as in `files.replacing`.

    It gets a marker with the command, the version and the names of the files. With `force` a folder
    with such a marker is replaced; files in it that the command did not write stay in it.

    Raises:
        UserError: as `check_folder`; or a file that somebody put there has the name of a new one.

    Example:

    >>> with replacing_folder("out/c", Owner("compile", ("model.[ch]",))) as folder:
    ...     _ = (folder / "model.h").write_text("#define MODEL_INPUT_SIZE 27648")
    >>> Path("out/c/model.h").exists()
    True
    """
    target = files.output_path(path)
    with files.replacing(path, force) as temporary:
        _refuse_file(path, target)
        if target.is_dir():
            _foreign(path, target, owner)
        temporary.mkdir()
        yield temporary
        written = _files(temporary)
        if target.is_dir():
            for name in _foreign(path, target, owner):
                _keep(target / name, temporary / name, path)
        mark(temporary, owner.command, written)


def claim(folder: str | os.PathLike, owner: Owner) -> None:
    """Marks a folder that a command writes single files into, beside those of others.

    Raises:
        UserError: it has no marker of this command, but files of the names that it writes; or it
            cannot be written.
    """
    files.check_writable(folder, inside=True)
    place = Path(folder)
    marker = marker_of(place)
    if marker is None or marker["command"] != owner.command:
        for name in owner.known:
            if os.path.lexists(place / name):
                raise UserError(
                    f"{place / name} exists, and nothing says that {owner.command} wrote it (no "
                    f"{MARKER}); name another output, or move it away"
                )
    if marker is None:
        mark(place, owner.command, [])


def mark(folder: Path, command: str, written: list[str]) -> None:
    """Writes the marker: which command of which version wrote which files here."""
    content = {"command": command, "version": __version__, "files": written}
    with files.replacing(folder / MARKER) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def marker_of(folder: Path) -> dict | None:
    """What `mark` wrote, None where there is no marker.

    Raises:
        UserError: it is damaged.
    """
    if not os.path.lexists(folder / MARKER):
        return None
    fields = {"command": str, "files": list}
    advice = "name another output"
    return files.read_json(folder / MARKER, "the marker of a folder", fields, advice)


def listing(folder: str | os.PathLike) -> str:
    """The names in a folder, but for the marker, for a message."""
    return ", ".join(sorted(path.name for path in Path(folder).iterdir() if path.name != MARKER))


def _refuse_file(path: str | os.PathLike, target: Path) -> None:
    if target.is_file():
        raise UserError(f"{path} is a file, and a folder is to be written; name another output")


def _foreign(path: str | os.PathLike, folder: Path, owner: Owner) -> list[str]:
    """The files in `folder` that `owner` did not write."""
    there = [name for name in _files(folder) if name != MARKER]
    marker = marker_of(folder)
    if marker is not None:
        if marker["command"] == owner.command:
            return [name for name in there if name not in marker["files"]]
        raise UserError(
            f"{path} was written by {marker['command']}, not by {owner.command}, so "
            "`force=True` does not replace it; name another output"
        )
    strange = [name for name in there if not any(_matches(name, p) for p in owner.known)]
    if strange:
        raise UserError(
            f"{path} was not written by {owner.command} (it holds {strange[0]}), so "
            "`force=True` does not replace it; name another output"
        )
    return []


def _matches(name: str, pattern: str) -> bool:
    """As a shell does: a star does not reach into another folder."""
    parts = list(zip(name.split("/"), pattern.split("/"), strict=False))
    return name.count("/") == pattern.count("/") and all(fnmatch.fnmatchcase(*p) for p in parts)


def _files(folder: Path) -> list[str]:
    """Relative names of all files and links, with `/`, sorted."""
    found = []
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*names, *links):
            found.append(Path(parent, name).relative_to(folder).as_posix())
    return sorted(found)


def _keep(old: Path, new: Path, path: str | os.PathLike) -> None:
    """A second name for the same file: at no moment it has none."""
    if os.path.lexists(new):
        raise UserError(f"{old} is in the way of a new file; move it, or name another than {path}")
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)
