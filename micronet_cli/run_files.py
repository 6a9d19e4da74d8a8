"""Where a run keeps its models: the folder of a run can be named wherever a model can."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from micronet_mcu.errors import UserError
from micronet_mcu.files import read_json

# As conversion leaves it in a run, and as a conversion's or the demo's own folder has it.
_FLATBUFFERS = ("int8/model.tflite", "model.tflite")
_QUANTIZED = ("qat.npz", "ptq.npz")
_SHOWN = 8


def named_model(argv: list[str], flag: str | None, what: str) -> str:
    """The one model that a command was given, as its argument or by --model.

    Raises:
        UserError: there is none, or there are two.
    """
    given = [*argv[1:], *([flag] if flag else [])]
    if len(given) != 1:
        raise UserError(f"name one {what}; --help has examples")
    return given[0]


def flatbuffer_of(path: str) -> Path:
    """The .tflite file that is meant: `path`, or the one in that folder.

    Raises:
        UserError: it is a folder without one.
    """
    return _file_of(path, _FLATBUFFERS, "convert")


def quantized_of(path: str) -> Path:
    """The .npz file that is meant: `path`, or the one in that run.

    Raises:
        UserError: it is a folder without one, or with more than one.
    """
    there = [name for name in _QUANTIZED if Path(path, name).is_file()]
    if len(there) > 1:
        files = " or ".join(str(Path(path, name)) for name in there)
        raise UserError(f"{path} has more than one quantized model; name {files}")
    return _file_of(path, _QUANTIZED, "quantize")


def beside(path: str, given: str | None, name: str, otherwise: str | None = None) -> str:
    """Where the result of a command goes: `given`, `name` in the run, or `otherwise`.

    Raises:
        UserError: it is none of them.
    """
    if given is None and Path(path).is_dir():
        return str(Path(path, name))
    found = otherwise if given is None else given
    if found is None:
        raise UserError("name the folder to write: --output=FOLDER")
    return found


def read_class_names(path: str) -> list[str]:
    """What the outputs of a run's model mean; empty where `path` is no run."""
    config = Path(path, "config.json")
    if not config.is_file():
        return []
    fields = {"class_names": list}
    found: dict[str, Any] = read_json(config, "the settings of a training run", fields)
    return [str(name) for name in found["class_names"]]


def dataset_line(dataset: str, class_names: Sequence[str]) -> str:
    """The line that every command prints that knows a dataset."""
    names = ", ".join(class_names[:_SHOWN])
    more = ", ..." if class_names[_SHOWN:] else ""
    return f"dataset: {dataset}; {len(class_names)} classes: {names}{more}"


def _file_of(path: str, names: tuple[str, ...], maker: str) -> Path:
    if not Path(path).is_dir():
        return Path(path)
    for name in names:
        if Path(path, name).is_file():
            return Path(path, name)
    raise UserError(
        f"{path} has no {' or '.join(names)}; micronet {maker} makes it, or name another file"
    )
