"""The paper's claim, measured: MicroNet-M3 against MobileNetV3-Small under the same light head."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from micronet_keras.data import Source
from micronet_keras.detection.heads import light_detector
from micronet_keras.detection.training import DetectionConfig, train_detector
from micronet_keras.models import MicroNetM3, count_madds
from micronet_keras.train.loop import make_repeatable

BACKBONES = ("micronet_m3", "mobilenet_v3_small")


def build_backbone(name: str, image_size: int) -> keras.Model:
    """One of `BACKBONES` with random weights, for images as `preprocess_input` makes them."""
    shape = (image_size, image_size, 3)
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
        `parameters` (of the whole) and the AP figures of `train_detector`'s summary.

    Raises:
        UserError: as `train_detector`.

    Example:

    >>> compare_backbones(load_dataset("micronet_shapes/multi"), DETECTION_RECIPES["quick"], "out")
    """
    rows = []
    for name in BACKBONES:
        make_repeatable(config)
        backbone = build_backbone(name, config.image_size)
        model = light_detector(backbone, len(source.object_class_names))
        result = train_detector(
            model, source, config, Path(out_dir, name), settings={"backbone": name}, force=force
        )
        rows.append(
            {
                "backbone": name,
                "backbone_madds": count_madds(backbone).total,
                "madds": count_madds(model).total,
                "parameters": model.count_params(),
                "seconds": result.summary["seconds"],
                **{key: value for key, value in result.summary.items() if key.startswith("AP")},
            }
        )
    return rows
