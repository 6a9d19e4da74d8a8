"""How processes come together, and how all end when one does."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import keras

from micronet_keras.distribution.spreading import process_count, process_index
from micronet_mcu.errors import UserError

# Within a minute everybody knows: so long a process may take to come, or be silent.
_COMES_WITHIN_S = 50
_SILENT_S = 20

_GONE = (
    "another process of this run ended or cannot be reached; "
    "the same command goes on after the last finished epoch, with any number of processes"
)
# In what JAX, Gloo and NCCL raise when nobody is at the other end.
_SAID_OF_OTHERS = ("Gloo", "NCCL", "oordination", "UNAVAILABLE", "DEADLINE_EXCEEDED")


@contextlib.contextmanager
def joined(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> Iterator[None]:
    """Inside the block this process is one of several, and Keras is spread over all devices.

    Enter it before a model is built. Without arguments JAX looks for Slurm, Open MPI, Cloud TPU and
    Kubernetes; where there is none of them, this process and its devices are all.

    Where there are several processes, an error in one of them ends them all, each with one line,
    and only process 0 prints to standard output. What the libraries write to standard error goes to
    a file that the line names: JAX ends a process with a stack trace of its own.

    Args:
        coordinator: "host:port" of process 0; a free port there.
        processes: how many there are.
        process: which one this is, from 0.

    Raises:
        UserError: an argument is missing or wrong, or the backend is not JAX.

    Example:

    >>> with joined("localhost:7000", processes=2, process=0):
    ...     train(task, model, source, config, "out/run")
    """
    _check(coordinator, processes, process)
    with _standard_error_apart() as log, _Ending(log) as ending:
        _join(coordinator, processes, process, ending)
        ending.line = _GONE
        _leave_accelerators_to_jax()
        before = keras.distribution.distribution()
        devices = keras.distribution.list_devices()
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
        )
        try:
            with ending.together():
                yield
        finally:
            keras.distribution.set_distribution(before)


def _check(coordinator: str | None, processes: int | None, process: int | None) -> None:
    if keras.backend.backend() != "jax":
        raise UserError(
            f"--distribution=data_parallel needs Keras on JAX, this is {keras.backend.backend()}: "
            "pip install jax, and set KERAS_BACKEND=jax"
        )
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return
    if coordinator is None or processes is None or process is None:
        raise UserError(f"--{missing[0]} is missing: name all three of --{', --'.join(given)}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(
            f"--coordinator is HOST:PORT of process 0, as 10.0.0.1:7000. Received: {coordinator!r}"
        )
    if not 0 <= process < processes:
        raise UserError(
            f"--process counts from 0 to below --processes. Received: {process} of {processes}"
        )


def _join(coordinator, processes, process, ending: _Ending) -> None:
    import jax

    if processes == 1 or jax.distributed.is_initialized():
        return
    ending.line = (
        f"not all processes came to {coordinator or 'the coordinator'} within "
        f"{_COMES_WITHIN_S} s; start all of them, and check address and port"
    )
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=_COMES_WITHIN_S,
            heartbeat_timeout_seconds=_SILENT_S,
        )
    except (ValueError, RuntimeError) as error:
        if coordinator is None and "coordinator_address" in str(error):
            return  # What JAX says where it finds no cluster: this process is alone.
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot join the run at {coordinator or 'its place'}: {reason}") from error


def _leave_accelerators_to_jax() -> None:
    """TensorFlow, which reads the pictures, would take the memory of every GPU."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # It has begun already, and has what it has.
        tf.config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def _standard_error_apart() -> Iterator[Path]:
    """Python keeps standard error, what native libraries write goes to a file."""
    descriptor, name = tempfile.mkstemp(prefix="micronet-engine-", suffix=".log")
    kept, python = os.dup(2), sys.stderr
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    os.dup2(descriptor, 2)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        sys.stderr.close()
        sys.stderr = python
        os.unlink(name)


class _Ending:
    """Ends this process with one line, once, from whichever thread comes first.

    JAX's coordination ends a process by `abort`, from a thread of its own, when another one is
    gone. Nothing can hold that up; what is left is to say what it means.

    Attributes:
        line: what an abort means now.
    """

    def __init__(self, log: Path):
        self.line = _GONE
        self._log = log
        self._lock = threading.Lock()

    def __enter__(self) -> _Ending:
        libc = ctypes.CDLL(None)
        libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
        self._signal: Callable = libc.signal
        self._handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: self(self.line, 2))
        self._before = self._signal(signal.SIGABRT, ctypes.cast(self._handler, ctypes.c_void_p))
        return self

    def __exit__(self, *exception) -> None:
        self._signal(signal.SIGABRT, self._before)

    def __call__(self, line: str, status: int) -> NoReturn:
        if self._lock.acquire(blocking=False):
            with contextlib.suppress(Exception):
                log = f"; the libraries' own words: {self._log}"
                if not self._log.stat().st_size:
                    log = ""
                    self._log.unlink()
                print("error: " + " ".join(line.split()) + log, file=sys.stderr, flush=True)
            os._exit(status)
        threading.Event().wait()  # The other thread ends us.
        raise AssertionError

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What ends this block ends the process, where there are others.

        Python's own end would wait for those that are gone.
        """
        if process_count() == 1:
            yield
            return
        with contextlib.ExitStack() as stack:
            if process_index():
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            try:
                yield
                _leave()
            except KeyboardInterrupt:
                self("interrupted", 130)
            except UserError as error:
                self(str(error), 2)
            except Exception as error:
                if any(word in str(error) for word in _SAID_OF_OTHERS):
                    self(_GONE, 2)
                sys.excepthook(type(error), error, error.__traceback__)
                os._exit(1)


def _leave() -> None:
    import jax

    jax.distributed.shutdown()
