"""Runs a script of scripts/ in the test's own process, which saves importing TensorFlow again."""

import importlib.util
import sys
from pathlib import Path

import pytest
from absl import app, flags, logging  # noqa: F401 (their own flags are there before a script's)

SCRIPTS = Path(__file__).parent.parent / "scripts"


class ScriptRunner:
    """Loads a script once; `runner(*arguments)` runs it and returns its exit status."""

    def __init__(self, name: str):
        self._known_flags = set(flags.FLAGS)
        self._path = SCRIPTS / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"script_{name}", self._path)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)

    def __call__(self, *arguments) -> int:
        flags.FLAGS.unparse_flags()
        for name in set(flags.FLAGS) - self._known_flags:
            flags.FLAGS[name].unparse()
        command = [str(self._path), *map(str, arguments)]
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as exit_info:
            patch.setattr(sys, "argv", command)
            self.module.run()
        return exit_info.value.code or 0

    def close(self) -> None:
        """Takes the script's flags away again: another script may define the same names."""
        for name in set(flags.FLAGS) - self._known_flags:
            delattr(flags.FLAGS, name)
