"""Writing: the result is there whole or not at all, and nobody else's file is touched."""

import json
import os
import pathlib
import resource
import socket
import stat
import subprocess
import sys
import tempfile
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from killing import kill_at_random

from micronet_mcu import files, workplace
from micronet_mcu.errors import UserError
from micronet_mcu.files import (
    check_writable,
    output_path,
    read_bytes,
    read_json,
    refuse_existing,
    replacing,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_folder(path, content, count=3):
    """A folder of files that all say the same."""
    with replacing(path) as temporary:
        temporary.mkdir()
        for i in range(count):
            (temporary / f"{i}").write_text(content)


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    """Both ways to replace a folder: the kernel's, and that of systems that cannot."""
    if request.param == "two renames":
        monkeypatch.setattr(workplace, "_exchange", lambda one, other: False)
    return request.param


def test_files_and_folders_are_replaced(tmp_path, way):
    for content in ("one", "two"):
        with replacing(tmp_path / "sub" / "a.txt") as temporary:
            assert temporary.suffix == ".txt"
            temporary.write_text(content)
        assert (tmp_path / "sub" / "a.txt").read_text() == content
        with replacing(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / content).write_text("")
        assert names(tmp_path / "folder") == [content]
    assert names(tmp_path) == ["folder", "sub"]


def test_folders_are_exchanged_in_one_step_on_linux(tmp_path):
    """Otherwise only the fallback would be tested."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x").touch()
    assert workplace._exchange(tmp_path / "a", tmp_path / "b") == (sys.platform == "linux")


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_failure_of_the_last_rename_leaves_the_old_folder(tmp_path, monkeypatch):
    write_folder(tmp_path / "a", "old")
    real = os.rename

    def rename(source, target):
        if os.fspath(source).endswith("/new/a"):
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(workplace, "_exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(UserError, match="cannot write .*Input/output error"):
        write_folder(tmp_path / "a", "new")
    assert names(tmp_path) == ["a"] and (tmp_path / "a" / "0").read_text() == "old"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot write .*file/a: File exists; choose another"),
        replacing(tmp_path / "file" / "a") as temporary,
    ):
        temporary.write_text("")
    with pytest.raises(UserError, match="cannot write .*file/a: .*; choose another"):
        check_writable(tmp_path / "file" / "a")


def test_a_full_disk(tmp_path):
    (tmp_path / "a").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with (
            pytest.raises(UserError, match="cannot write .*a: File too large"),
            replacing(tmp_path / "a") as temporary,
        ):
            temporary.write_bytes(os.urandom(5000))
        with pytest.raises(UserError, match="cannot write .*a: File too large"):
            check_writable(tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_existing_results_are_kept_unless_forced(tmp_path):
    refuse_existing(tmp_path / "new")
    refuse_existing(tmp_path, force=True)
    with pytest.raises(UserError, match="exists already; .* `force=True`"):
        refuse_existing(tmp_path)


def test_a_result_that_came_meanwhile_is_kept(tmp_path):
    with (
        pytest.raises(UserError, match="exists already"),
        replacing(tmp_path / "a", force=False) as temporary,
    ):
        temporary.write_text("mine")
        (tmp_path / "a").write_text("another's")
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "another's"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_mode_of_a_replaced_file_is_kept(tmp_path, mode):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(mode)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
        # Until then nobody else may look, whatever the mode of the new file is.
        assert stat.S_IMODE(temporary.parent.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert (tmp_path / "a").read_text() == "new"


def test_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("real/new")
    (tmp_path / "loop").symlink_to("loop")
    write_folder(tmp_path / "link", "new")
    write_folder(tmp_path / "dangling", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "0").read_text() == "new"
    assert (tmp_path / "real" / "new").is_dir()
    assert names(tmp_path) == ["dangling", "link", "loop", "real"]
    with pytest.raises(UserError, match="cannot write .*loop: Too many levels"):
        check_writable(tmp_path / "loop")


def test_devices_pipes_and_sockets_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "socket"))
    for path, kind in (
        ("/dev/null", "a device"),
        (tmp_path / "fifo", "a pipe"),
        (tmp_path / "socket", "a socket"),
    ):
        for use in (check_writable, refuse_existing, lambda p: replacing(p).__enter__()):
            with pytest.raises(UserError, match=f"is {kind}, which is not written to"):
                use(path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@pytest.mark.parametrize(
    "name", ["", "a\0b", "x" * 256, "x/" + "y" * 300, "z/" * 3000 + "z", "\ud800"]
)
def test_names_that_no_file_can_have(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (check_writable, refuse_existing, lambda p: replacing(p).__enter__(), read_bytes):
        with pytest.raises(UserError) as caught:
            use(name)
            read_bytes(name)
        assert len(str(caught.value)) < 400
    assert names(tmp_path) == []


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("x" * 251 + ".npz")
    check_writable(path)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == [path.name]


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=300) | st.binary(min_size=1, max_size=90).map(os.fsdecode))
def test_any_name_is_written_or_refused_in_one_line(name, tmp_path):
    (tmp_path / "in").mkdir(exist_ok=True)
    place = f"{tmp_path}/in/{name}"
    if ".." in name.split("/"):
        return
    try:
        check_writable(place)
        with replacing(place) as temporary:
            temporary.write_text("")
    except UserError as error:
        assert "\n" not in str(error).replace(name, "")
    else:
        assert os.path.isfile(os.path.realpath(place))
    assert not list(tmp_path.rglob(".micronet-*"))


def test_protected_folders_are_never_replaced(tmp_path, monkeypatch):
    for folder in ("homes/home", "above/here", "tree/.git", "submodule"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "submodule" / ".git").write_text("gitdir: elsewhere")
    (tmp_path / "link").symlink_to("tree")
    monkeypatch.setenv("HOME", str(tmp_path / "homes" / "home"))
    monkeypatch.chdir(tmp_path / "above" / "here")
    for path, reason in (
        (".", "the current folder or contains it"),
        ("..", "the current folder or contains it"),
        ("../../above", "the current folder or contains it"),
        ("/", "the current folder or contains it"),
        ("tree/..", "the current folder or contains it"),
        (tmp_path / "homes", "the home folder or contains it"),
        (tmp_path / "homes" / "home", "the home folder or contains it"),
        ("/proc", "a mount point"),
        (tmp_path / "tree", "a git work tree"),
        (tmp_path / "submodule", "a git work tree"),
        (tmp_path / "link", "a git work tree"),
    ):
        for use in (output_path, refuse_existing, lambda p: replacing(p).__enter__()):
            with pytest.raises(UserError, match=f"is {reason}, which is never replaced"):
                use(path)
    write_folder("below", "allowed")


def test_a_current_folder_that_is_gone(tmp_path):
    code = (
        "import os, sys\nfrom micronet_mcu.files import *\nos.mkdir('x'); os.chdir('x')\n"
        "os.rmdir('../x')\ntry: check_writable('a')\nexcept UserError as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == "" and done.stdout.startswith("cannot write a: ")


def test_a_second_writer_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(workplace, "_PATIENCE_S", 0.05)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("first")
        for use in (check_writable, lambda p: replacing(p).__enter__()):
            with pytest.raises(UserError, match=f"process {os.getpid()} is writing .*a at this"):
                use(tmp_path / "a")
        write_folder(tmp_path / "b", "another name is free")
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.slow
def test_two_writers_and_a_reader(tmp_path, monkeypatch):
    """One wins and the other says so; whoever looks finds a whole result."""
    monkeypatch.setattr(workplace, "_PATIENCE_S", 0.001)
    write_folder(tmp_path / "a", "start")
    results = []

    def write(content):
        for _ in range(150):
            try:
                write_folder(tmp_path / "a", content)
                results.append("written")
            except UserError as error:
                assert "is writing" in str(error)
                results.append("refused")

    writers = [threading.Thread(target=write, args=(content,)) for content in ("one", "two")]
    for writer in writers:
        writer.start()
    looks = 0
    while any(writer.is_alive() for writer in writers):
        folder = os.open(tmp_path / "a", os.O_RDONLY)  # It must be there.
        os.close(folder)
        looks += 1
    for writer in writers:
        writer.join()
    assert len(results) == 300 and results.count("written") > 1 and looks
    assert len({(tmp_path / "a" / f"{i}").read_text() for i in range(3)}) == 1
    assert names(tmp_path) == ["a"]


_ENDLESS = """
import sys
from micronet_mcu import workplace
from micronet_mcu.files import replacing
path, kind, way = sys.argv[1:]
if way == "two renames":
    workplace._exchange = lambda one, other: False
print("ready", flush=True)
for number in range(1000000):
    with replacing(path) as temporary:
        if kind == "file":
            temporary.write_text(f"{number:9}" * 3)
        else:
            temporary.mkdir()
            for i in range(3):
                (temporary / f"{i}").write_text(f"{number:9}")
"""


def whole(path):
    """Nothing at all, or a file or folder that one round of `_ENDLESS` wrote."""
    if path.is_dir():
        texts = [(path / f"{i}").read_text() for i in range(3)]
    else:
        text = path.read_text()
        texts = [text[i : i + 9] for i in (0, 9, 18)]
    return len(set(texts)) == 1 and len(texts[0]) == 9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_killed_writers_leave_a_whole_result(tmp_path, kind, way):
    path = tmp_path / "place" / "result"
    if kind == "file":
        path.parent.mkdir()
        path.write_text(f"{-1:9}" * 3)
    else:
        write_folder(path, f"{-1:9}")

    def look():
        assert way == "two renames" or path.exists()

    for _ in range(12):
        kill_at_random(_ENDLESS, [path, kind, way], 0.05, look)
        check_writable(path.parent / "another")  # What every command does at its start.
        assert names(path.parent) == ["result"]
        assert whole(path)


def test_what_a_living_process_writes_stays(tmp_path):
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("in the making")
        files.tidy(tmp_path)
        assert temporary.exists()
    assert names(tmp_path) == ["a"]


def test_a_hidden_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("")
    workplace.place_of(tmp_path / "a").symlink_to("precious")
    with pytest.raises(UserError, match="cannot write"):
        check_writable(tmp_path / "a")
        with replacing(tmp_path / "a"):
            pass
    assert names(tmp_path / "precious") == ["file"]


def test_outputs_are_checked_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    check_writable(tmp_path / "file", tmp_path / "new" / "a", None)
    check_writable(tmp_path / "folder", tmp_path / "new" / "b", inside=True)
    for path, inside, message in (
        (tmp_path / "folder", False, "is a folder"),
        (tmp_path / "file", True, "is a file"),
        ("/proc/nowhere/x", False, "cannot write /proc/nowhere/x"),
        ("/proc/nowhere", True, "cannot write /proc/nowhere"),
        ("", True, "no name"),
    ):
        with pytest.raises(UserError, match=message):
            check_writable(path, inside=inside)
    assert names(tmp_path) == ["file", "folder"]


def test_no_permission(without_privileges):
    (without_privileges / "file").write_text("")
    (without_privileges / "file").chmod(0o400)
    (without_privileges / "folder").mkdir(0o500)
    for path in (without_privileges / "file", without_privileges / "folder" / "a"):
        with pytest.raises(UserError, match="Permission denied"):
            check_writable(path)


@pytest.fixture
def without_privileges():
    """A folder of this user; root, who may write everywhere, is nobody meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        users = os.getresuid()
        if users[0] == 0:
            os.chown(folder, _NOBODY, -1)
            # The saved one stays root's, to come back to.
            os.setresuid(_NOBODY, _NOBODY, 0)
        try:
            yield pathlib.Path(folder)
        finally:
            os.setresuid(*users)


_NOBODY = 65534


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="cannot read .*nothing: No such file"):
        read_bytes(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[1]", "no JSON object"),
        (b"{", "Expecting"),
        (b"\xff\xfe{}", "Expecting"),
        (b'{"a": "\xff"}', "utf-8"),
        (b"[" * 100_000, "recursion"),
        (b'{"n": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": 1, "n": true}', "'n' is True"),
        (b'{"a": 1}', "'n' is None"),
    ],
)
def test_json_of_somebody_else(tmp_path, content, problem):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"a.json is not a table or is damaged .*{problem}.*; bake"):
        read_json(path, "a table", {"n": int}, advice="bake it")
    path.write_text(json.dumps({"n": 3, "m": None}))
    assert read_json(path, "a table", {"n": (int, float)}) == {"n": 3, "m": None}


def test_a_message_is_one_line_whatever_it_names():
    assert str(UserError("no a\nb\r\nc\x85d\u2028e")) == "no a b c d e"
