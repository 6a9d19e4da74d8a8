"""What every command shares: flags are parsed, a user's mistake is one line and exit status 2."""

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TextIO

from absl import app, flags, logging

from micronet_mcu.errors import Doubt, UserError


def run(main: Callable[[list[str]], int | None], positional: str | None = None) -> None:
    """Runs a script's `main(argv)` and exits.

    Arguments that are no flags are refused; with `positional`, the name by which messages call it,
    one is allowed and reaches `main` as argv[1].

    Exit status: what `main` returns (None is 0); 2 for a wrong flag or a `UserError`, printed as
    one line on standard error; 130 for Ctrl-C. A `Doubt` is one line there, too.
    """
    # Progress bars and results are for the user; what libraries note about themselves is not.
    logging.set_verbosity(logging.ERROR)
    # A file's name may hold bytes that are no text; it is printed all the same.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    module = sys.modules[main.__module__]
    app.run(
        lambda argv: _guarded(main, argv, positional),
        flags_parser=lambda argv: _parse(argv, module),
    )


def argument(argv: list[str], name: str) -> str:
    """The one argument of a command.

    Raises:
        UserError: it was left out.
    """
    if len(argv) != 2:
        raise UserError(f"name one {name}; --help has examples")
    return argv[1]


def print_figures(figures: Mapping[str, object]) -> None:
    """One name and value a line, floats with four decimals."""
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        text = f"{value:.4f}" if isinstance(value, float) else f"{value}"
        print(f"{name:{width}} {text}")


def _parse(argv: list[str], module: ModuleType) -> list[str]:
    # absl's own help looks at the front door that was started, which has no flags.
    if {"--help", "-h", "-help"} & set(argv[1:]):
        print((module.__doc__ or "").strip(), flags.FLAGS.module_help(module), sep="\n\n")
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _complain(f"{error}; --help lists the flags")
        sys.exit(2)


def _guarded(
    main: Callable[[list[str]], int | None], argv: list[str], positional: str | None
) -> int | None:
    try:
        allowed = 2 if positional else 1
        if len(argv) > allowed:
            hint = f"; one {positional} is enough" if positional else ""
            message = f"unexpected argument {argv[allowed]!r}{hint}; --help lists the flags"
            raise UserError(message)
        with _doubts_in_one_line():
            return main(argv)
    except UserError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130


@contextlib.contextmanager
def _doubts_in_one_line() -> Iterator[None]:
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, Doubt):
                _complain(str(message), "warning")
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def _complain(message: str, kind: str = "error") -> None:
    with contextlib.suppress(OSError):  # A full disk may be where the messages go, too.
        print(f"{kind}: " + " ".join(message.split()), file=sys.stderr, flush=True)
