"""What every script shares: flags are parsed, a user's mistake is one line and exit status 2."""

import sys
from collections.abc import Callable

from absl import app, flags

from micronet_keras.errors import UserError


def run(main: Callable[[list[str]], int | None]) -> None:
    """Runs a script's `main(argv)` and exits.

    Exit status: what `main` returns (None is 0); 2 for a wrong flag or a `UserError`, printed as one
    line on standard error; 130 for Ctrl-C.
    """
    app.run(lambda argv: _guarded(main, argv), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _complain(f"{error}; --help lists the flags")
        sys.exit(2)


def _guarded(main: Callable[[list[str]], int | None], argv: list[str]) -> int | None:
    try:
        if len(argv) > 1:
            raise UserError(f"unexpected argument {argv[1]!r}; --help lists the flags")
        return main(argv)
    except UserError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130


def _complain(message: str) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
