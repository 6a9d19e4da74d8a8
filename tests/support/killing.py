"""A process that works until it is killed, and what is seen meanwhile."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

_READY = b"ready\n"


def kill_at_random(program: str, arguments: list, latest_s: float, look: Callable[[], None]):
    """Runs Python code, which prints "ready" when it begins to write, and kills it.

    Args:
        program: the code.
        arguments: its `sys.argv[1:]`.
        latest_s: the kill comes up to so many seconds after "ready".
        look: is called again and again until then, and once after.
    """
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == _READY
        end = time.monotonic() + random.uniform(0, latest_s)
        while time.monotonic() < end:
            look()
        os.kill(process.pid, signal.SIGKILL)
    look()
