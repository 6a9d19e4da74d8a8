"""What every command shares: flags are parsed, a user's mistake is one line and exit status 2."""

import contextlib
import io
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from absl import app, flags, logging

from micronet_cli.commands import COMMANDS
from micronet_cli.quiet import without_notes
from micronet_mcu.errors import Doubt, UserError

# Flags made of a dataclass are registered under the module's name with this behind it.
SETTINGS = ":settings"
_HELP = {"--help", "-h", "-help", "--helpfull", "--helpshort"}


def run(
    main: Callable[[list[str]], int | None],
    positional: str | None = None,
    values: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Runs a script's `main(argv)` and exits.

    Arguments that are no flags are refused; with `positional`, the name by which messages call it,
    one is allowed and reaches `main` as argv[1]. `values` says for --help what the flags of
    `setting_flags` stand for when they are not given; those it does not know are not listed.

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
        flags_parser=lambda argv: _parse(argv, module, positional, values),
    )


def argument(argv: list[str], name: str) -> str:
    """The one argument of a command.

    Raises:
        UserError: it was left out.
    """
    if len(argv) != 2:
        raise UserError(f"name one {name}; --help has examples")
    return argv[1]


def command(name: str) -> str:
    """A command in the form in which this one was called, for a hint.

    `micronet quantize` for who called `micronet train`, `python scripts/quantize.py` for who called
    `python scripts/train.py`.
    """
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"python -m micronet_cli {name}"
    if program.suffix == ".py":
        return f"python {program.with_name(COMMANDS[name].file)}.py"
    return f"micronet {name}"


def as_called(message: str) -> str:
    """A message of the packages in the words of the command line, see `UserError`.

    An argument in back quotes becomes a flag (`force=True` is --force), a command the form in which
    it is called here.
    """

    def as_flag(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if name not in flags.FLAGS:
            return found[0]
        if value in ("True", "False"):
            return f"--{name}" if value == "True" else f"--no{name}"
        return f"--{name}" if value is None else f"--{name}={value.strip(_QUOTES)}"

    def as_command(found: re.Match[str]) -> str:
        return command(found[1]) if found[1] in COMMANDS else found[0]

    message = re.sub(r"`(\w+)(?:=([^`]*))?`", as_flag, message)
    return re.sub(r"\bmicronet ([a-z][a-z-]*)\b", as_command, message)


_QUOTES = "\"'"


def print_figures(figures: Mapping[str, object]) -> None:
    """One name and value a line, floats with four decimals."""
    width = max(map(len, figures), default=0)
    for name, value in figures.items():
        text = f"{value:.4f}" if isinstance(value, float) else f"{value}"
        print(f"{name:{width}} {text}")


def _parse(
    argv: list[str],
    module: ModuleType,
    positional: str | None,
    values: Callable[[], Mapping[str, Any]],
) -> list[str]:
    if _HELP & set(argv[1:]):
        # What is given beside --help counts: --preset=m3 --help shows that preset's values.
        with contextlib.suppress(flags.Error):
            flags.FLAGS([word for word in argv if word not in _HELP])
        flags.FLAGS.mark_as_parsed()
        try:
            print(_help(module, positional, values()))
        except UserError as error:
            _complain(str(error))
            sys.exit(2)
        sys.exit(0)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _complain(f"{error}; --help lists the flags")
        sys.exit(2)


def _help(module: ModuleType, positional: str | None, values: Mapping[str, Any]) -> str:
    name = next(n for n, c in COMMANDS.items() if c.file == Path(module.__file__ or "").stem)
    usage = " ".join(["usage:", command(name), *([positional] if positional else []), "[flags]"])
    registered = flags.FLAGS.flags_by_module_dict()
    own = list(registered.get(module.__name__, []))
    settings = [f for f in registered.get(module.__name__ + SETTINGS, []) if f.name in values]
    text = as_called((module.__doc__ or "").strip())
    lines = [usage, "", text, "", "flags, and their values when not given:"]
    for flag in [*own, *settings]:
        lines += _explained(flag, values.get(flag.name, flag.default))
    return "\n".join(lines)


_COLUMN = 28


def _explained(flag: flags.Flag, value: Any) -> list[str]:
    text = " ".join((flag.help or "").split())
    if flag.boolean and isinstance(value, bool | None):
        head = f"--[no]{flag.name}"
        text += "; on" if value else "; off"
    elif value is None or value == []:
        head = f"--{flag.name}="
    else:
        shown = ",".join(map(str, value)) if isinstance(value, list) else f"{value}"
        head = f"--{flag.name}={shown}"
    width = min(shutil.get_terminal_size((100, 24)).columns, 100) - _COLUMN - 2
    wrapped = textwrap.wrap(text, max(width, 30), break_on_hyphens=False) or [""]
    if len(head) > _COLUMN - 2:
        wrapped.insert(0, "")
    first, *others = wrapped
    return [f"  {head:{_COLUMN}}{first}".rstrip(), *(" " * (_COLUMN + 2) + o for o in others)]


def _guarded(
    main: Callable[[list[str]], int | None], argv: list[str], positional: str | None
) -> int | None:
    try:
        allowed = 2 if positional else 1
        if len(argv) > allowed:
            hint = f"; one {positional} is enough" if positional else ""
            message = f"unexpected argument {argv[allowed]!r}{hint}; --help lists the flags"
            raise UserError(message)
        with without_notes(), _doubts_in_one_line():
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
        text = " ".join(as_called(message).split())
        print(f"{kind}: {text}", file=sys.stderr, flush=True)
