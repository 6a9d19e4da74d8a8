"""The settings of the whole road from images to a board, in one file."""

import dataclasses
import os
from typing import Any

import yaml

from micronet_mcu.boards import BOARDS
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes
from micronet_mcu.firmware import PLATFORMS, RUNTIMES
from micronet_settings import CONFIGS, MODES, NETWORKS, RECIPES, QuantizeConfig, flat, replace
from micronet_settings.fields import check_fields, documented, one_of, setting
from micronet_settings.yaml_file import check_keys, checked, read_yaml, section


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What is learnt from."""

    dataset: str = setting("", "a folder of images, or a TFDS name")
    data_dir: str | None = setting(None, "where TFDS keeps its datasets")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Which network, and what it starts from."""

    network: str = setting("m0", f"one of {', '.join(NETWORKS)}")
    weights: str | None = setting(None, "what to start from, as of `micronet train`")
    skip_head: bool = setting(False, "start with a new last layer where weights has other classes")

    def __post_init__(self):
        check_fields(self, network=one_of(self.network, NETWORKS))


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Where it shall run."""

    board: str = setting("cortex-m4", f"emulated board: {', '.join(BOARDS)}, or none")
    platform: str = setting("none", f"firmware project: {', '.join(PLATFORMS)}, or none")
    runtime: str = setting("c", f"of the firmware: {', '.join(RUNTIMES)}")

    def __post_init__(self):
        check_fields(
            self,
            board=one_of(self.board, (*BOARDS, "none")),
            platform=one_of(self.platform, (*PLATFORMS, "none")),
            runtime=one_of(self.runtime, tuple(RUNTIMES)),
        )


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """What float, int8 and C are compared on."""

    split: str | None = setting(None, "the split to look at; the training's test split")
    limit: int | None = setting(None, "only the first so many examples")
    compiled: bool = setting(True, "run the compiled C on them, too")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """All that decides the result of a pipeline.

    Attributes:
        out: folder of the run.
        data, model, target, report: sections of the file of these names.
        task, preset: of training; names in `micronet_settings.RECIPES`.
        training: the task's configuration.
        mode: "ptq" or "qat".
        quantization: its configuration; with "ptq" there are no epochs.
    """

    out: str
    data: DataSettings
    model: ModelSettings
    task: str
    preset: str
    training: Any
    mode: str
    quantization: QuantizeConfig
    target: TargetSettings
    report: ReportSettings

    def sections(self) -> dict[str, Any]:
        """What the file holds when every setting is named in it."""
        quantization = dataclasses.asdict(self.quantization)
        if self.mode == "ptq":
            del quantization["epochs"]
        return {
            "out": self.out,
            "data": dataclasses.asdict(self.data),
            "model": dataclasses.asdict(self.model),
            "training": {"task": self.task, "preset": self.preset, **flat(self.training)},
            "quantization": {"mode": self.mode, **quantization},
            "target": dataclasses.asdict(self.target),
            "report": dataclasses.asdict(self.report),
        }

    def to_yaml(self) -> str:
        """The file with every setting in it, which reads back as the same."""
        return yaml.safe_dump(self.sections(), sort_keys=False, allow_unicode=True)


def read_pipeline(path: str | os.PathLike) -> PipelineConfig:
    """Reads the file of a pipeline.

    Raises:
        UserError: it cannot be read, a key is unknown, or a value is of another type or out of its
            range; the message names the file, the section and the setting.
    """
    return pipeline_of(read_yaml(read_bytes(path), os.fspath(path)), os.fspath(path))


def pipeline_of(values: dict[str, Any], origin: str) -> PipelineConfig:
    """The configuration in a mapping as `PipelineConfig.sections` gives it.

    Raises:
        UserError: as `read_pipeline`.

    Example:

    >>> config = pipeline_of({"data": {"dataset": "./photos"}, "training": {"epochs": 3}}, "a.yaml")
    >>> config.out, config.training.training.epochs, config.mode
    ('out/a', 3, 'ptq')
    """
    known = ("out", "data", "model", "training", "quantization", "target", "report")
    check_keys(values, known, origin)
    data = _built(DataSettings, values, "data", origin)
    if not data.dataset:
        raise UserError(f"{origin}: data needs a dataset: a folder of images, or a TFDS name")
    training = section(values, "training", origin)
    task = _choice(training.get("task", "classification"), CONFIGS, f"{origin}: task")
    preset = _choice(training.get("preset", "quick"), RECIPES[task], f"{origin}: preset")
    quantization = section(values, "quantization", origin)
    mode = _choice(quantization.get("mode", "ptq"), MODES, f"{origin}: mode")
    return PipelineConfig(
        out=_folder(values.get("out"), origin),
        data=data,
        model=_built(ModelSettings, values, "model", origin),
        task=task,
        preset=preset,
        training=_trained(task, preset, _without(training, "task", "preset"), origin),
        mode=mode,
        quantization=_quantization(mode, _without(quantization, "mode"), origin),
        target=_built(TargetSettings, values, "target", origin),
        report=_built(ReportSettings, values, "report", origin),
    )


def _built(kind: type, values: dict[str, Any], name: str, origin: str) -> Any:
    where = f"{origin}: {name}"
    try:
        return kind(**checked(kind, section(values, name, origin), where))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _trained(task: str, preset: str, values: dict[str, Any], origin: str) -> Any:
    where, recipe = f"{origin}: training", RECIPES[task][preset]
    check_keys(values, [*flat(recipe), "task", "preset"], where)
    shared = {f.name for f in dataclasses.fields(recipe.training)}
    given = {
        **checked(type(recipe.training), {k: v for k, v in values.items() if k in shared}, where),
        **checked(CONFIGS[task], {k: v for k, v in values.items() if k not in shared}, where),
    }
    try:
        return replace(recipe, **given)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _quantization(mode: str, values: dict[str, Any], origin: str) -> QuantizeConfig:
    where = f"{origin}: quantization"
    if mode == "ptq" and values.get("epochs"):
        raise UserError(f"{where}: epochs are of mode: qat; leave them out, or take that")
    try:
        config = QuantizeConfig(**checked(QuantizeConfig, values, where))
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return dataclasses.replace(config, epochs=0) if mode == "ptq" else config


def _folder(value: Any, origin: str) -> str:
    if value is None:
        return f"out/{os.path.splitext(os.path.basename(origin))[0]}"
    if not isinstance(value, str) or not value:
        raise UserError(f"{origin}: out must be a folder to write. Received: {value!r}")
    return value


def _choice(value: Any, known: Any, where: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{where} must be one of {', '.join(known)}. Received: {value!r}")
    return value


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}
