"""A command in a process that has imported everything, forked anew for every call.

Run as a program it is the server: it reads one JSON object a line (arguments, log, folder, limits)
from standard input, forks a child that behaves like the script, answers with the child's number,
and with its exit status when it has ended. `Warm` is the other side.
"""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a command imports only when it is needed.
_MORE = {
    "micronet_cli.quantize": ("micronet_keras.quantize.qat", "tf_keras"),
    "micronet_cli.import_checkpoint": ("micronet_keras", "torch"),
    "micronet_cli.convert": ("micronet_keras.deploy",),
    "micronet_cli.train": ("micronet_keras.train",),
    "micronet_cli.compile": ("matplotlib.figure", "matplotlib.backends.backend_agg"),
}


class Warm:
    """A server for one command.

    Example:

    >>> with Warm("micronet_cli.compile") as warm:
    ...     child = warm.start(["--model=a.tflite", "--out=c"], log)
    ...     os.kill(child, signal.SIGKILL)
    ...     warm.wait()
    -9
    """

    def __init__(self, module: str):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, __file__, module]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._answer() == "ready"

    def start(self, arguments: list, log: Path, *, folder: Path = ROOT, file_bytes=None) -> int:
        """Begins a call; no file may become longer than `file_bytes`. Returns the process."""
        request = {"arguments": list(map(str, arguments)), "log": str(log),
                   "folder": str(folder), "file_bytes": file_bytes}  # fmt: skip
        self._ask(request)
        return self._answer()

    def wait(self) -> int:
        """The exit status of the call, negative for a signal.

        Until it is asked for, the process keeps its number, also when it has ended: whoever kills
        it meets no other.
        """
        self._ask("wait")
        return self._answer()

    def call(self, arguments: list, log: Path, **options) -> int:
        self.start(arguments, log, **options)
        return self.wait()

    def __enter__(self) -> "Warm":
        return self

    def __exit__(self, *exception) -> None:
        self._server.stdin.close()
        self._server.wait()

    def _ask(self, request) -> None:
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()

    def _answer(self):
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError("the warmed process is gone")
        return json.loads(line)


def _serve(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    module = importlib.import_module(name)
    for more in _MORE.get(name, ()):
        importlib.import_module(more)

    def answer(content) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    answer("ready")
    child = 0
    for line in sys.stdin:
        request = json.loads(line)
        if request == "wait":
            answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            continue
        child = os.fork()
        if child == 0:
            _be_the_script(module, request)
        answer(child)


def _be_the_script(module, request: dict) -> None:
    """Never returns."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    status = 1
    try:
        os.chdir(request["folder"])
        if request["file_bytes"] is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limit = (request["file_bytes"], resource.RLIM_INFINITY)
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        sys.argv = [module.__name__.rsplit(".", 1)[1] + ".py", *request["arguments"]]
        module.run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])
