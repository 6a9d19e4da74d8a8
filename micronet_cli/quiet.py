"""Keeps the notes of TensorFlow's C++ side off the terminal; its errors come through.

They are written to file descriptor 2 before anything could set their level (TensorFlow 2.21 no
longer reads TF_CPP_MIN_LOG_LEVEL in time), so a process of its own stands behind that descriptor
and leaves their lines out. One of its own, since what a crash says last must come through, too.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

# Run by a bare Python. What is no note passes as it is, half lines included.
_FILTER = r"""
import os, re
note = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:\d+\.|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions: "  # The second line of a note.
    # Called errors, and none: no GPU's driver; a newer attribute; a slower kernel.
    rb"|E\d{4} .*(cuInit.*\(303\)|NodeDef mentions attribute|oneDNN supports )"
)
held = b""
while True:
    piece = os.read(0, 65536)
    held += piece
    *lines, held = held.split(b"\n")
    for line in lines:
        if not note.match(line):
            os.write(2, line + b"\n")
    if not piece:
        if not note.match(held):
            os.write(2, held)
        break
"""


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Leaves out the notes that native code writes to standard error while the block runs.

    Python's own `sys.stderr` is where it was: messages, tracebacks and progress bars see the
    terminal. Nothing is left out for who has set TF_CPP_MIN_LOG_LEVEL=0, or where standard error is
    not the process's own, as under a test or in a notebook.
    """
    try:
        own = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        own = False
    if not own or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    terminal = os.dup(2)
    try:
        program = [sys.executable, "-I", "-S", "-c", _FILTER]
        filtering = subprocess.Popen(program, stdin=subprocess.PIPE, stderr=terminal)
    except OSError:  # No process to be had: notes are better than no work.
        os.close(terminal)
        yield
        return
    assert filtering.stdin is not None
    stderr = sys.stderr
    stderr.flush()
    os.dup2(filtering.stdin.fileno(), 2)
    filtering.stdin.close()
    sys.stderr = os.fdopen(terminal, "w", buffering=1, errors="backslashreplace", closefd=False)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = stderr
        # The pipe's last writer, unless the work has left processes behind.
        os.dup2(terminal, 2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            filtering.wait(timeout=2)
        os.close(terminal)
