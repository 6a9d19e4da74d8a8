"""Writing: the result is there whole or not at all."""

import os
import resource

import pytest

from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes, refuse_existing, replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_and_folders_are_replaced(tmp_path):
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


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot write .*file/a: File exists; choose another"),
        replacing(tmp_path / "file" / "a") as temporary,
    ):
        temporary.write_text("")


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
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_existing_results_are_kept_unless_forced(tmp_path):
    refuse_existing(tmp_path / "new")
    refuse_existing(tmp_path, force=True)
    with pytest.raises(UserError, match="exists already; .* --force"):
        refuse_existing(tmp_path)


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="cannot read .*nothing: No such file"):
        read_bytes(tmp_path / "nothing")
