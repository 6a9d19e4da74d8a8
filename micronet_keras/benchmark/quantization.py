"""What int8 leaves of networks that are trained alike: after quantization, and after training."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from micronet_keras.benchmark.published import measurement, update
from micronet_keras.benchmark.quantized_networks import NETWORKS, build
from micronet_keras.benchmark.record import read_record
from micronet_keras.compare import compare
from micronet_keras.data import Source
from micronet_keras.lower import lower
from micronet_keras.lower.tensorflow import run as run_graph
from micronet_keras.models import count_madds
from micronet_keras.quantize import QuantizeConfig, QuantizedGraph, convert, quantize
from micronet_keras.quantize.quantize import calibration_images
from micronet_keras.tasks import CLASSIFICATION, ClassificationConfig, replace
from micronet_keras.tasks.task import model_input
from micronet_keras.train import Run, make_repeatable, read_run, train
from micronet_mcu.errors import UserError
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm import Interpreter

_LOOKED_AT = 8


def measure_quantization(
    name: str,
    source: Source,
    config: ClassificationConfig,
    tuning: QuantizeConfig,
    folder: str | os.PathLike,
    limit: int | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Trains a network and quantizes it, without and with training. Stopped, the same call goes on.

    Args:
        name: one of `NETWORKS`.
        source: a dataset with labels.
        config: the recipe, the same for all networks.
        tuning: of the quantization-aware training.
        folder: of the run, and of the two quantized graphs beside it.
        limit: only so many pictures of the test split are looked at; None is all.

    Returns:
        The figures and the flatbuffer after QAT. Figures: `parameters`, `madds`,
        `float_difference` (of the lowered graph and the model, largest logit 1), `images`,
        `float_accuracy`, and for "ptq" and "qat" `_accuracy`, `_agreement`, `_sqnr_db` and `_bytes`
        of the flatbuffer on TFLM; `c`: whether the compiled C answers as TFLM does.

    Raises:
        UserError: as `train`, `quantize` and `compare`.
    """
    network = NETWORKS[name]
    rate = config.training.learning_rate * network.rate
    config = replace(config, preprocessing=network.preprocessing, learning_rate=rate)
    make_repeatable(config.training)
    classes = len(CLASSIFICATION.class_names(source))
    model = build(name, config.training.size, classes)
    train(CLASSIFICATION, model, source, config, Path(folder, "run"), settings={"network": name})
    run = read_run(Path(folder, "run"))
    images = calibration_images(CLASSIFICATION, source, run.config, _LOOKED_AT)[0][:_LOOKED_AT]
    figures: dict[str, Any] = {
        "parameters": model.count_params(),
        "madds": count_madds(model).total,
        "float_difference": _float_difference(run, images),
    }
    flatbuffer = b""
    for mode, settings in (("ptq", dataclasses.replace(tuning, epochs=0)), ("qat", tuning)):
        flatbuffer = convert(_quantized(run, source, settings, Path(folder), mode))
        found = compare(run, flatbuffer, limit=limit, source=source).summary
        figures |= {"images": found["images"], "float_accuracy": found["float_accuracy"]}
        figures |= {
            f"{mode}_accuracy": found["int8_accuracy"],
            f"{mode}_agreement": found["agreement"],
            f"{mode}_sqnr_db": round(found["sqnr_db"], 1),
            f"{mode}_bytes": found["flash_bytes"],
        }
    return {**figures, "c": _compiled(flatbuffer, images)}, flatbuffer


def compare_quantization(
    name: str,
    source: Source,
    config: ClassificationConfig,
    tuning: QuantizeConfig,
    folder: str | os.PathLike,
    results: str | os.PathLike,
    command: str,
    limit: int | None = None,
) -> dict[str, Any]:
    """`measure_quantization`, kept in a file of measurements under ``quantization_<name>``.

    Args:
        name, source, config, tuning, folder, limit: as there.
        results: the JSON file; other measurements in it stay.
        command: what measures it. What the same command has measured is not measured again.

    Returns:
        The figures.
    """
    key = f"quantization_{name}"
    earlier = (read_record(Path(results)) or {}).get(key)
    if earlier is not None and earlier["command"] == command:
        return earlier["figures"]
    keras.utils.clear_session()
    figures, flatbuffer = measure_quantization(name, source, config, tuning, folder, limit)
    update(Path(results), {key: measurement(command, "training", figures, flatbuffer)})
    return figures


def _float_difference(run: Run, images: np.ndarray) -> float:
    model = run.model()
    x = np.asarray(model_input(images, run.config), np.float32)
    expected = model.predict(x, verbose=0)
    (ours,) = run_graph(lower(model, normalization=None), x)
    return float(np.abs(np.array(ours) - expected).max() / np.abs(expected).max())


def _quantized(
    run: Run, source: Source, settings: QuantizeConfig, folder: Path, mode: str
) -> QuantizedGraph:
    """Quantized as the settings say, or read if that was done before."""
    path = folder / f"{mode}_{hashlib.sha256(repr(settings).encode()).hexdigest()[:8]}.npz"
    if not path.exists():
        quantize(run, settings, source=source).save(path)
    return QuantizedGraph.load(path)


def _compiled(flatbuffer: bytes, images: np.ndarray) -> str:
    """Whether the C, without fused kernels, answers what TFLM answers, bit for bit."""
    try:
        compiled = HostRunner(flatbuffer, fuse=False)
    except UserError:  # An operator that TFLM runs and no kernel, or no compiler.
        return "not compiled"
    interpreter = Interpreter(flatbuffer)
    try:
        for image in interpreter.quantize(images)[:, None]:
            pairs = zip(compiled.invoke_all(image), interpreter.invoke_all(image), strict=True)
            if not all(np.array_equal(one, other) for one, other in pairs):
                return "differs"
        return "equal"
    finally:
        compiled.close()
