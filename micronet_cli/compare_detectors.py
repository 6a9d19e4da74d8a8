"""Measures the paper's claim: MicroNet-M3 against MobileNetV3-Small under one detection head.

Both backbones start from random weights and get the same light head, the same settings and the
same data; what comes out is printed side by side and left in --out/comparison.json. Stopped, it
goes on with the same command.

Examples:

  # On the bundled dataset, about an hour on two cores.
  micronet compare-detectors --out=out/comparison

  # Smaller and quicker, to see that it runs.
  micronet compare-detectors --image_size=64 --epochs=2 --out=out/comparison_small
"""

import json
from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_cli.setting_flags import define_flags, given_flags
from micronet_mcu.errors import UserError
from micronet_mcu.files import replacing
from micronet_mcu.folders import Owner, claim
from micronet_settings import RECIPES, DetectionConfig, TrainConfig, flat, replace

_DATASET = flags.DEFINE_string(
    "dataset", "micronet_shapes/multi", "a TFDS name with objects/bbox and objects/label"
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_OUT = flags.DEFINE_string("out", "out/comparison", "folder of the runs")
_FORCE = flags.DEFINE_boolean("force", False, "discard the runs that are in --out")
for _config in (TrainConfig, DetectionConfig):
    define_flags(_config, __name__)


_QUICK = RECIPES["detection"]["quick"]
OWNER = Owner("compare_detectors", ("comparison.json",))


def main(argv: list[str]) -> None:
    del argv
    try:
        config = replace(_QUICK, **given_flags(TrainConfig, DetectionConfig))
    except ValueError as error:
        raise UserError(str(error)) from error
    claim(_OUT.value, OWNER)
    from micronet_keras import data
    from micronet_keras.benchmark.backbones import compare_backbones

    source = data.load_dataset(_DATASET.value, _DATA_DIR.value, "boxes")
    rows = compare_backbones(source, config, _OUT.value, _FORCE.value)
    for name in rows[0]:
        print(f"{name:>16}", *(f"{_shown(row[name]):>20}" for row in rows))
    with replacing(Path(_OUT.value, "comparison.json")) as temporary:
        temporary.write_text(json.dumps(rows, indent=2) + "\n")


def _shown(value) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value < 10 else f"{value:.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def run() -> None:
    script.run(main, values=lambda: flat(_QUICK))
