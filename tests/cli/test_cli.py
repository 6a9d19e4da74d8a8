"""The command line: a user's mistake is one line and exit status 2."""

import dataclasses
import sys

import pytest
from absl import flags

from micronet_cli import script
from micronet_cli.setting_flags import define_flags, given_flags
from micronet_mcu.errors import UserError
from micronet_settings.fields import documented, setting


@documented
@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a test."""

    count_for_test: int = setting(3, "how many")
    rate_for_test: float = setting(0.5, "how fast")
    name_for_test: str = setting("x", "what it is called")
    flag_for_test: bool = setting(True, "whether")


@pytest.fixture(autouse=True)
def own_flags():
    known = set(flags.FLAGS)
    define_flags(Config, __name__)
    yield
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)


def run(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        script.run(main)
    return exit_info.value.code or 0


def test_main_runs_and_its_result_is_the_status(monkeypatch):
    assert run(monkeypatch, lambda argv: None) == 0
    assert run(monkeypatch, lambda argv: 3) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no_such_flag=1"], "no_such_flag"),
        (["--count_for_test=many"], "count_for_test"),
        (["stray"], "unexpected argument 'stray'"),
        ([], "the file is gone; make it again"),
    ],
)
def test_mistakes_are_one_line(monkeypatch, capsys, arguments, message):
    def main(argv):
        raise UserError("the file is gone;\n  make it again")

    assert run(monkeypatch, main, *arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_one_argument_where_a_script_takes_one(monkeypatch, capsys):
    def run_with(*arguments):
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            script.run(lambda argv: len(argv), positional="MODEL")
        return exit_info.value.code

    assert run_with() == 1
    assert run_with("a.tflite", "--count_for_test=4") == 2
    assert capsys.readouterr().err == ""
    assert run_with("a.tflite", "b.tflite") == 2
    assert "'b.tflite'; one MODEL is enough" in capsys.readouterr().err


def test_interruption(monkeypatch, capsys):
    def main(argv):
        raise KeyboardInterrupt

    assert run(monkeypatch, main) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_errors_of_ours_keep_their_traceback(monkeypatch):
    def main(argv):
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(ZeroDivisionError):
        script.run(main)


def test_settings_as_flags(monkeypatch):
    seen = []

    def main(argv):
        seen.append(Config(**given_flags(Config)))

    assert run(monkeypatch, main) == 0
    flags.FLAGS.unparse_flags()
    assert run(monkeypatch, main, "--count_for_test=7", "--noflag_for_test") == 0
    assert seen == [Config(), Config(count_for_test=7, flag_for_test=False)]


def test_settings_explain_themselves():
    assert "rate_for_test: how fast." in Config.__doc__
    assert flags.FLAGS["rate_for_test"].help == "how fast"
