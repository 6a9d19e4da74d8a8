"""Quantizes what a run has trained: with quantization-aware training (QAT) or post-training (PTQ).

RUN is the folder that training wrote; dataset, classes, splits, flips, crops, loss and
preprocessing are read from it. It writes one file, which conversion turns into an int8 flatbuffer
and C arrays. A fine-tuning that was stopped goes on with the same command.

Examples:

  # An epoch of QAT; it leaves out/shapes/qat.npz.
  micronet quantize out/shapes

  # PTQ: ranges from 512 training images, no training; it leaves out/shapes/ptq.npz.
  micronet quantize out/shapes --mode=ptq

  # More fine-tuning of a detector.
  micronet quantize out/detector --epochs=4 --out=out/detector/qat4.npz
"""

import dataclasses
import shutil
from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_cli.run_files import dataset_line
from micronet_cli.setting_flags import define_flags, given_flags
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, refuse_existing
from micronet_mcu.locks import locked
from micronet_settings import MODES, QuantizeConfig

_MODE = flags.DEFINE_enum("mode", "qat", MODES, "with fine-tuning or without")
_DATASET = flags.DEFINE_string("dataset", None, "instead of the run's; with the same classes")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps the dataset now")
_OUT = flags.DEFINE_string("out", None, "the file to write; RUN/qat.npz or RUN/ptq.npz without it")
_FORCE = flags.DEFINE_boolean("force", False, "replace --out when it exists")
define_flags(QuantizeConfig, __name__)


def main(argv: list[str]) -> None:
    folder = script.argument(argv, "RUN")
    try:
        config = QuantizeConfig(**given_flags(QuantizeConfig))
    except ValueError as error:
        raise UserError(str(error)) from error
    if _MODE.value == "ptq":
        config = dataclasses.replace(config, epochs=0)
    check_writable(_OUT.value)
    out = Path(_OUT.value or Path(folder, f"{_MODE.value}.npz"))
    if not Path(folder).is_dir():
        raise UserError(f"{folder} is not the folder of a run; micronet train makes one")
    check_writable(out)
    backup = out.with_name(f"{out.name}.unfinished")
    with locked(backup):
        refuse_existing(out, _FORCE.value)
        decibels = _quantize(folder, config, out, backup)
    model = folder if out.parent == Path(folder) else f"--model={out}"
    print(f"{out}: {_MODE.value.upper()}, {decibels:.1f} dB from float")
    print(f"next: {script.command('convert')} {model}")


def _quantize(folder: str, config: QuantizeConfig, out: Path, backup: Path) -> float:
    """Returns the signal-to-noise ratio in dB."""
    import keras

    from micronet_keras.quantize import quantize
    from micronet_keras.train import read_run

    run = read_run(folder)
    keras.utils.set_random_seed(config.seed)
    source = run.load(_DATASET.value, _DATA_DIR.value)
    print(dataset_line(source.name, run.class_names), flush=True)
    quantized = quantize(run, config, backup=backup, source=source)
    quantized.save(out, _FORCE.value)
    # Not before the result is safe: a full disk must not cost the epochs.
    shutil.rmtree(backup, ignore_errors=True)
    assert quantized.signal_to_noise is not None  # `quantize` has measured it.
    return quantized.signal_to_noise


def run() -> None:
    script.run(main, positional="RUN", values=lambda: dataclasses.asdict(QuantizeConfig()))
