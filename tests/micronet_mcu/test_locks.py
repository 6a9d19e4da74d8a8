"""A folder in use is refused, and free again when its process is gone."""

import os
import signal
import subprocess
import sys

import pytest

from micronet_mcu.errors import UserError
from micronet_mcu.locks import locked

_HOLD = """
import sys, time
from micronet_mcu.locks import locked
with locked(sys.argv[1]):
    print("ready", flush=True)
    time.sleep(100)
"""


def test_a_folder_in_use_is_refused_until_its_process_is_gone(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", _HOLD, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        message = f"the folder {folder} is in use by process {process.pid};"
        with pytest.raises(UserError, match=message), locked(folder):
            pass
        os.kill(process.pid, signal.SIGKILL)
    with locked(folder):
        (folder / "result").write_text("")
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_nothing_is_left_of_a_folder_that_stayed_empty(tmp_path):
    folder = tmp_path / "a" / "run"
    for _ in range(2):
        with locked(folder), pytest.raises(UserError, match=f"{os.getpid()}"), locked(folder):
            pass
        assert not folder.exists()


@pytest.mark.parametrize("place", ["file/run", "link/run"])
def test_a_place_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere/x/y")
    with pytest.raises(UserError, match="cannot write .*/run"), locked(tmp_path / place):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".micronet.lock").symlink_to("precious")
    with pytest.raises(UserError, match="cannot write"), locked(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
