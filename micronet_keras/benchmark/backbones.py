"""The paper's claim on detection: MicroNet-M3 against MobileNetV3-Small under the same head."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from micronet_keras.data import Source
from micronet_keras.models import MicroNetM3, MicroNetObjectDetector, count_madds
from micronet_keras.tasks import DETECTION, DetectionConfig
from micronet_keras.train import make_repeatable, train

BACKBONES = ("micronet_m3", "mobilenet_v3_small")


def build_backbone(name: str, size: tuple[int, int]) -> keras.Model:
    """One of `BACKBONES` with random weights, for images as `preprocess_input` makes them."""
    shape = (*size, 3)
    if name == "micronet_m3":
        return MicroNetM3(input_shape=shape, include_top=False)
    backbone = keras.applications.MobileNetV3Small(
        input_shape=shape, include_top=False, weights=None, include_preprocessing=False
    )
    for layer in backbone.layers:
        # Keras' 0.999 leaves the statistics of a short training behind: MicroNet's, to be fair.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9
    return backbone


def compare_backbones(
    source: Source, config: DetectionConfig, out_dir: str | os.PathLike, force: bool = False
) -> list[dict]:
    """Trains the same light detector on each of `BACKBONES`, with the same settings and data.

    Each run has its folder in `out_dir`; stopped, the same call goes on.

    Returns:
        For each backbone a dict of `backbone`, `backbone_madds`, `madds` (of the whole detector),
        `parameters` (of the whole) and the AP figures of the test split.

    Raises:
        UserError: as `micronet_keras.train.train`.

    Example:

    >>> from micronet_keras.data import load_dataset
    >>> compare_backbones(load_dataset("micronet_shapes/multi"), DETECTION.recipes["quick"], "out")
    """
    rows = []
    classes = len(DETECTION.class_names(source))
    for name in BACKBONES:
        make_repeatable(config.training)
        backbone = build_backbone(name, config.training.size)
        model = MicroNetObjectDetector(backbone, classes, head=config.head)
        result = train(
            DETECTION, model, source, config, Path(out_dir, name),
            settings={"backbone": name}, force=force,
        )  # fmt: skip
        figures = {
            key.removeprefix("test_"): value
            for key, value in result.summary.items()
            if key.startswith("test_")
        }
        rows.append(
            {
                "backbone": name,
                "backbone_madds": count_madds(backbone).total,
                "madds": count_madds(model).total,
                "parameters": model.count_params(),
                "seconds": result.summary["seconds"],
                **figures,
            }
        )
    return rows
