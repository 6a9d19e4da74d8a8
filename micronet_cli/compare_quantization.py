"""Trains networks by one recipe and compares them in float, after PTQ and after QAT.

For each network: whether the lowered graph is the model, the accuracy in float, after quantization
and after quantization-aware training on TensorFlow Lite Micro, the signal-to-noise ratio of both,
and whether the compiled C answers as TFLM does. Every network's figures go into --results when they
are there; stopped, the same command goes on.

Examples:

  # All networks on CIFAR-10 at 96 pixels: days on two cores.
  micronet compare-quantization --dataset=cifar10 --data_dir=/data/tfds --image_size=96

  # Two of them on the bundled dataset, to see that it runs.
  micronet compare-quantization --only=micronet_m0,ds_cnn --image_size=32 --epochs=2 \\
      --limit=100 --engine=keras

  # Into the file that micronet figures makes the table of.
  micronet compare-quantization --results=benchmarks/readme.json
"""

from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_cli.setting_flags import define_flags, given_flags
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable
from micronet_settings import (
    ENGINES,
    RECIPES,
    ClassificationConfig,
    QuantizeConfig,
    TrainConfig,
    flat,
    replace,
)

_DATASET = flags.DEFINE_string("dataset", "micronet_shapes", "TFDS name, or a folder")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its datasets")
_ONLY = flags.DEFINE_list("only", [], "networks to measure; all when not given")
_RESULTS = flags.DEFINE_string("results", "out/quantization/results.json", "the figures, one JSON")
_OUT = flags.DEFINE_string("out", "out/quantization", "folder of the trainings")
_LIMIT = flags.DEFINE_integer("limit", None, "look at so many test pictures only", 1)
_ENGINE = flags.DEFINE_enum("engine", ENGINES[0], ENGINES, "what trains in QAT")
_QAT_EPOCHS = flags.DEFINE_integer("qat_epochs", 1, "epochs of QAT", 1)
_QAT_RATE = flags.DEFINE_float("qat_learning_rate", 1e-5, "learning rate of QAT", 0)
for _config in (TrainConfig, ClassificationConfig):
    define_flags(_config, __name__)

_QUICK = RECIPES["classification"]["quick"]
# What only says where things are, and which.
_PLACES = ("only", "results", "out", "data_dir")


def main(argv: list[str]) -> None:
    del argv
    from micronet_keras import data
    from micronet_keras.benchmark.published import render
    from micronet_keras.benchmark.quantization import compare_quantization
    from micronet_keras.benchmark.quantized_networks import NETWORKS
    from micronet_keras.benchmark.record import read_record

    unknown = [name for name in _ONLY.value if name not in NETWORKS]
    if unknown:
        raise UserError(f"there is no network {unknown[0]!r}; choose among {', '.join(NETWORKS)}")
    try:
        given = given_flags(TrainConfig, ClassificationConfig)
        config = replace(_QUICK, **given)
        tuning = QuantizeConfig(
            epochs=_QAT_EPOCHS.value,
            learning_rate=_QAT_RATE.value,
            batch_size=config.training.batch_size,
            seed=config.training.seed,
            engine=_ENGINE.value,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    check_writable(_RESULTS.value)
    check_writable(_OUT.value, inside=True)
    source = data.load_dataset(_DATASET.value, _DATA_DIR.value)
    failed = []
    for name in _ONLY.value or NETWORKS:
        place = Path(_OUT.value, name)
        try:
            figures = compare_quantization(
                name, source, config, tuning, place, _RESULTS.value, _command(name), _LIMIT.value
            )
            print(f"{name}: {figures}", flush=True)
        except UserError as error:  # The others are worth their time all the same.
            failed.append(name)
            print(f"{name} failed: {error}", flush=True)
    print(render("quantization", read_record(Path(_RESULTS.value)) or {}))
    if failed:
        raise UserError(f"not measured: {', '.join(failed)}; see above")


def _command(name: str) -> str:
    """What measures one network, with what was said of all."""
    given = [
        flag.serialize()
        for flag in flags.FLAGS.get_key_flags_for_module(__name__)
        if flag.present and flag.name not in _PLACES
    ]
    return " ".join(["python scripts/compare_quantization.py", f"--only={name}", *sorted(given)])


def run() -> None:
    script.run(main, values=lambda: flat(_QUICK))
