"""Folders that commands write: only their own are replaced, and only their own files."""

import json
import os

import pytest

from micronet_mcu.errors import UserError
from micronet_mcu.folders import MARKER, Owner, check_folder, replacing_folder
from micronet_mcu.version import __version__

BAKE = Owner("bake", ("bread.*", "crumbs/*.txt"))
BREW = Owner("brew", ("beer",))


def write(path, owner=BAKE, files=("bread.a",), force=True):
    check_folder(path, owner, force)
    with replacing_folder(path, owner, force) as folder:
        for name in files:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(owner.command)


def contents(path):
    return {p.relative_to(path).as_posix(): p.read_text() for p in path.rglob("*") if p.is_file()}


@pytest.fixture
def out(tmp_path):
    yield tmp_path / "out"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_marker_says_who_wrote_what(out):
    write(out, files=("bread.a", "crumbs/1"))
    marker = json.loads((out / MARKER).read_text())
    files = ["bread.a", "crumbs/1"]
    assert marker == {"command": "bake", "version": __version__, "files": files}


def test_without_force_nothing_is_replaced(out):
    write(out, force=False)
    with pytest.raises(UserError, match="exists already"):
        write(out, force=False)


def test_own_files_go_and_foreign_files_stay(out):
    write(out, files=("bread.a", "crumbs/1"))
    (out / "notes").write_text("mine")
    (out / "crumbs" / "2").write_text("mine")
    (out / "crumbs" / "link").symlink_to("2")
    (out / "shortcut").symlink_to("crumbs")
    os.mkfifo(out / "fifo")
    for _ in range(2):  # What was carried over is foreign the second time, too.
        write(out, files=("bread.b",))
        found = contents(out)
        found.pop(MARKER)
        assert found == {
            "bread.b": "bake", "notes": "mine", "crumbs/2": "mine", "crumbs/link": "mine"
        }  # fmt: skip
        assert os.readlink(out / "shortcut") == "crumbs" and (out / "fifo").is_fifo()


def test_a_foreign_file_is_never_overwritten(out):
    write(out)
    (out / "bread.b").write_text("mine")
    with pytest.raises(UserError, match="bread.b is in the way of a new file"):
        write(out, files=("bread.b",))
    assert contents(out).keys() == {"bread.a", "bread.b", MARKER}
    assert contents(out)["bread.b"] == "mine"


@pytest.mark.parametrize(
    "name", ["notes", "bread", "crumbs/1.md", "a/bread.a", "crumbs/a/1.txt", ".git"]
)
def test_folders_of_somebody_else_are_refused(out, name):
    (out / "x").mkdir(parents=True)
    (out / "bread.a").write_text("")
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text("mine")
    with pytest.raises(UserError, match="never replaced" if name == ".git" else f"holds {name}"):
        write(out)
    assert contents(out)[name] == "mine"


def test_folders_of_another_command_are_refused(out):
    write(out, BREW, files=("beer",))
    with pytest.raises(UserError, match="written by brew, not by bake"):
        write(out)
    (out / MARKER).write_text("[]")
    with pytest.raises(UserError, match=f"{MARKER} is not the marker of a folder"):
        write(out)
    assert contents(out)["beer"] == "brew"


def test_folders_from_before_there_were_markers_are_replaced(out):
    (out / "crumbs").mkdir(parents=True)
    (out / "bread.b").write_text("")
    (out / "crumbs" / "1.txt").write_text("")
    write(out)
    assert contents(out).keys() == {"bread.a", MARKER}


def test_a_file_is_not_replaced_by_a_folder(out):
    out.write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        write(out)
    assert out.read_text() == "mine"


def test_a_failure_leaves_the_old_folder(out):
    write(out)
    with pytest.raises(RuntimeError), replacing_folder(out, BAKE, force=True):
        raise RuntimeError
    assert contents(out)["bread.a"] == "bake"
