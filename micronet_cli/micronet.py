"""The command `micronet`: finds the sub-command and hands over to it."""

import difflib
import importlib
import sys

from micronet_cli.commands import COMMANDS, GROUPS, Command, installed

# Must not need more than the standard library: the list is to be there at once.


def run() -> None:
    """The console script."""
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in ("--help", "-h", "-help", "help"):
        print(_listing())
        return
    if word == "--version":
        from micronet_mcu.version import __version__

        print(__version__)
        return
    command = COMMANDS.get(word)
    if command is None:
        near = difflib.get_close_matches(word, COMMANDS, n=1)
        hint = f"did you mean {near[0]}" if near else "micronet --help lists them"
        sys.exit(_refused(f"there is no command {word!r}; {hint}"))
    if not installed(command):
        sys.exit(_refused(f"{word} needs micronet-keras: pip install micronet-keras"))
    del sys.argv[1]
    try:
        module = importlib.import_module(f"micronet_cli.{command.file}")
    except ModuleNotFoundError as error:
        owner = "micronet-keras" if command.keras else "micronet-mcu"
        sys.exit(_refused(f"{word} cannot start: {error}; pip install {owner} brings it"))
    module.run()


def _refused(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _listing() -> str:
    width = max(map(len, COMMANDS))
    lines = ["usage: micronet COMMAND ...", "       micronet COMMAND --help"]

    def add(title: str, commands: list[Command]) -> None:
        if commands:
            lines.extend(["", f"{title}:"])
            lines.extend(f"  {c.name:{width}}  {c.summary}" for c in commands)

    for title, commands in GROUPS.items():
        add(title, [command for command in commands if installed(command)])
    add(
        "After `pip install micronet-keras`",
        [command for command in COMMANDS.values() if not installed(command)],
    )
    return "\n".join(lines)
