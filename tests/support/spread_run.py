"""Tiny runs as one of several processes: a program, and who starts and awaits it.

`python spread_run.py FOLDER TASKS COORDINATOR PROCESSES PROCESS DIES` trains the tasks, named with
commas, one after the other, each in a folder of its name. The process numbered DIES kills itself
after the first epoch of the last one.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600


class Processes:
    """So many of them, started; `ended()` gives (exit status, standard error) of each."""

    def __init__(self, folder: Path, tasks: str, count: int, dies: int = -1, start=None):
        with contextlib.closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            coordinator = f"127.0.0.1:{free.getsockname()[1]}"
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "jax",
                       "TF_CPP_MIN_LOG_LEVEL": "3"}  # fmt: skip
        self.started = [
            subprocess.Popen(
                [sys.executable, __file__, folder, tasks, coordinator, str(count), str(k),
                 str(dies)],
                env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            for k in (range(count) if start is None else start)
        ]  # fmt: skip

    def ended(self) -> list[tuple[int, str]]:
        texts = [process.communicate(timeout=TIMEOUT_S)[1] for process in self.started]
        return [(p.returncode, text) for p, text in zip(self.started, texts, strict=True)]


def _main(folder, tasks, coordinator, processes, process, dies):
    from tiny_tasks import CASES

    from micronet_keras.distribution import joined
    from micronet_keras.tasks import replace
    from micronet_keras.train import make_repeatable, train

    def die(history):
        del history
        if process == dies and name == names[-1]:
            os.kill(os.getpid(), signal.SIGKILL)

    names = tasks.split(",")
    with joined(coordinator, processes, process):
        for name in names:
            case = CASES[name]
            config = replace(case.config, ema=0.5, epochs=3)
            make_repeatable(config.training)
            train(case.task, case.build(), case.source(), config, Path(folder) / name,
                  after_epoch=die)  # fmt: skip


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:4], *map(int, sys.argv[4:]))
    except Exception as error:  # As the command does it.
        sys.exit(f"error: {error!r}")
