"""Runs a command in the test's own process, which saves importing TensorFlow again."""

import importlib.util
import sys

import pytest
from absl import app, flags, logging  # noqa: F401 (their own flags are there before a script's)
from paths import ROOT


class ScriptRunner:
    """Loads the module behind a script once; `runner(*arguments)` gives its exit status."""

    def __init__(self, name: str):
        self._known_flags = set(flags.FLAGS)
        path = ROOT / "micronet_cli" / f"{name}.py"
        # Under a name of its own: another test may have loaded it, and its flags, before.
        spec = importlib.util.spec_from_file_location(f"script_{name}", path)
        self.module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = self.module
        spec.loader.exec_module(self.module)
        self._name = f"{name}.py"

    def __call__(self, *arguments) -> int:
        flags.FLAGS.unparse_flags()
        for name in set(flags.FLAGS) - self._known_flags:
            flags.FLAGS[name].unparse()
        command = [self._name, *map(str, arguments)]
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as exit_info:
            patch.setattr(sys, "argv", command)
            self.module.run()
        return exit_info.value.code or 0

    def close(self) -> None:
        """Takes the script's flags away again: another script may define the same names."""
        for name in set(flags.FLAGS) - self._known_flags:
            delattr(flags.FLAGS, name)
