"""The whole road, from images to a board, in stages that are skipped when they are done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from micronet_keras.compare import compare
from micronet_keras.deploy import write_files
from micronet_keras.quantize import QuantizedGraph, quantize
from micronet_keras.report import report
from micronet_keras.train import read_run, train_network
from micronet_mcu.boards import count_on_board, find
from micronet_mcu.errors import UserError
from micronet_mcu.files import read_bytes, read_json, replacing
from micronet_mcu.firmware import export_firmware
from micronet_mcu.folders import CONVERTED, replacing_folder
from micronet_mcu.locks import locked
from micronet_mcu.to_c.compiler import compile_model
from micronet_mcu.version import __version__
from micronet_settings.pipeline import PipelineConfig


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the road.

    Attributes:
        name: for the user.
        settings: all that decides its result, beside `inputs`.
        inputs: files that it reads.
        outputs: files that it leaves.
        make: does it; what it returns is added to the results.
    """

    name: str
    settings: Any
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    make: Callable[[], dict[str, Any]]


class Missing(Exception):
    """A stage cannot be done for lack of a tool; the others are worth their time all the same."""


def run_pipeline(
    config: PipelineConfig,
    *,
    force: bool = False,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Takes a dataset to an int8 model, C and a board's figures.

    A stage whose settings and inputs are what they were when it was done is skipped; one that was
    interrupted goes on. `<out>/pipeline.yaml` has every setting, `<out>/results.json` the figures,
    `<out>/report.html` all there is to see.

    Args:
        config: of `micronet_settings.pipeline.read_pipeline`.
        force: do every stage anew, training included.
        tell: is given a line for each stage.

    Returns:
        The figures, as `results.json` has them.

    Raises:
        UserError: a stage cannot be done.
    """
    out = Path(config.out)
    with locked(out / "pipeline.unfinished"):
        state = _State(out / "pipeline.json", force)
        stages = _stages(config, out, force)
        for number, stage in enumerate(stages, start=1):
            name = f"stage {number} of {len(stages)}, {stage.name}"
            if state.is_done(stage):
                tell(f"{name}: done before, skipped")
                continue
            tell(name)
            state.begin(stage)
            try:
                state.done(stage, stage.make())
            except Missing as error:
                tell(f"{name}: left out: {error}")
            if stage.name == "train":
                _write(out / "pipeline.yaml", config.to_yaml())
        results = state.results()
        _write(out / "results.json", json.dumps(results, indent=2) + "\n")
    return results


def _stages(config: PipelineConfig, out: Path, force: bool) -> list[Stage]:
    best, quantized = out / "best.keras", out / f"{config.mode}.npz"
    flatbuffer, code = out / "int8" / "model.tflite", out / "c"
    sections = config.sections()
    evaluation = out / "predictions_int8.png"
    target = config.target
    stages = [
        Stage("train", {key: sections[key] for key in ("data", "model", "training")}, (),
              (best, out / "summary.json"), lambda: _train(config, out, force)),
        Stage("quantize", [config.mode, sections["quantization"]], (best,), (quantized,),
              lambda: _quantize(config, out, quantized)),
        Stage("convert", None, (quantized,), (flatbuffer,), lambda: _convert(quantized, out)),
        Stage("compile", None, (flatbuffer,), (code / "model.c",),
              lambda: _compile(flatbuffer, code)),
        Stage("evaluate", sections["report"], (best, flatbuffer), (evaluation,),
              lambda: _evaluate(config, out, flatbuffer, evaluation)),
    ]  # fmt: skip
    if target.board != "none":
        stages.append(
            Stage("benchmark", target.board, (flatbuffer,), (),
                  lambda: _count(target.board, flatbuffer))
        )  # fmt: skip
    if target.platform != "none":
        project = out / target.platform
        stages.append(
            Stage("export", [target.platform, target.runtime], (flatbuffer,),
                  (project / "README.md",), lambda: _export(config, out, flatbuffer, project))
        )  # fmt: skip
    page, board = out / "report.html", None if target.board == "none" else target.board
    stages.append(
        Stage("report", [sections["report"], board], (best, flatbuffer), (page,),
              lambda: _report(out, flatbuffer, page, config.report.limit, board))
    )  # fmt: skip
    return stages


def _train(config: PipelineConfig, out: Path, force: bool) -> dict[str, Any]:
    result = train_network(
        config.task,
        config.model.network,
        config.training,
        out,
        dataset=config.data.dataset,
        data_dir=config.data.data_dir,
        weights=config.model.weights,
        skip_head=config.model.skip_head,
        force=force,
    )
    return result.summary


def _quantize(config: PipelineConfig, out: Path, file: Path) -> dict[str, Any]:
    keras.utils.set_random_seed(config.quantization.seed)
    backup = file.with_name(f"{file.name}.unfinished")
    quantized = quantize(out, config.quantization, backup=backup)
    quantized.save(file)
    shutil.rmtree(backup, ignore_errors=True)
    return {"quantization": config.mode, "sqnr_db": quantized.signal_to_noise}


def _convert(file: Path, out: Path) -> dict[str, Any]:
    with replacing_folder(out / "int8", CONVERTED, force=True) as folder:
        made = write_files(folder, QuantizedGraph.load(file))
    return {"flash_bytes": len(made.flatbuffer), "arena_bytes": made.arena_bytes}


def _compile(flatbuffer: Path, folder: Path) -> dict[str, Any]:
    try:
        compiled = compile_model(flatbuffer, folder, force=True, report=True)
    except UserError as error:
        raise Missing(str(error)) from error
    return {
        "c_arena_bytes": compiled.program.arena.plan.size,
        "c_constant_bytes": compiled.source.constant_bytes,
    }


def _evaluate(config: PipelineConfig, out: Path, flatbuffer: Path, picture: Path) -> dict[str, Any]:
    looked = config.report
    compiled = looked.compiled and (out / "c" / "model.c").is_file()
    run = read_run(out)
    result = compare(run, flatbuffer, looked.split, limit=looked.limit, compiled=compiled)
    result.measured["int8"].draw(picture, f"{run.dataset}, int8 on TFLM")
    return result.summary


def _count(board: str, flatbuffer: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            cost = count_on_board(compile_model(flatbuffer, Path(folder) / "c"), find(board))
        except UserError as error:
            raise Missing(str(error)) from error
    return {
        "board": board,
        "instructions": cost.instructions,
        "sram_bytes": cost.sram_bytes,
        "code_bytes": cost.flash_code_bytes,
    }


def _export(config: PipelineConfig, out: Path, flatbuffer: Path, project: Path) -> dict[str, Any]:
    export_firmware(
        config.target.platform,
        read_bytes(flatbuffer),
        project,
        runtime=config.target.runtime,
        labels=read_run(out).class_names,
        force=True,
    )
    return {"firmware": str(project)}


def _report(
    out: Path, flatbuffer: Path, page: Path, limit: int | None, board: str | None
) -> dict[str, Any]:
    return {"page": str(report(out, flatbuffer, page, limit=limit, board=board))}


class _State:
    """Which stages are done, of what, and what they found: `pipeline.json`."""

    def __init__(self, path: Path, force: bool):
        self._path, self._force = path, force
        self._stages: dict[str, Any] = {}
        if path.is_file() and not force:
            advice = "remove it, and every stage is looked at anew"
            found = read_json(path, "the state of a pipeline", {"stages": dict}, advice)
            self._stages = found["stages"]
        self._met: dict[str, dict[str, Any]] = {}

    def is_done(self, stage: Stage) -> bool:
        entry = self._stages.get(stage.name)
        done = (
            isinstance(entry, dict)
            and isinstance(entry.get("results"), dict)
            and all(path.is_file() for path in (*stage.inputs, *stage.outputs))
            and entry.get("made_of") == _digest(stage)
        )
        if done and entry:
            self._met[stage.name] = entry["results"]
        return done

    def begin(self, stage: Stage) -> None:
        """From here on the outputs are known to be this pipeline's.

        Raises:
            UserError: they are there, and somebody else's.
        """
        # A training looks after its own folder.
        if stage.name != "train" and stage.name not in self._stages and not self._force:
            for path in stage.outputs:
                if path.exists():
                    raise UserError(
                        f"{path} exists, and this pipeline did not make it; name another `out`, "
                        "move it away, or give `force=True`"
                    )
        self._stages[stage.name] = {"made_of": "unfinished", "results": {}}
        self._save()

    def done(self, stage: Stage, results: dict[str, Any]) -> None:
        self._met[stage.name] = results
        self._stages[stage.name] = {"made_of": _digest(stage), "results": results}
        self._save()

    def _save(self) -> None:
        content = {"version": __version__, "stages": self._stages}
        _write(self._path, json.dumps(content, indent=1) + "\n")

    def results(self) -> dict[str, Any]:
        return {name: value for found in self._met.values() for name, value in found.items()}


def _digest(stage: Stage) -> str:
    digest = hashlib.sha256(json.dumps(stage.settings, sort_keys=True).encode())
    for path in stage.inputs:
        digest.update(read_bytes(path))
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
