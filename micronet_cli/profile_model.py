"""Says what every layer of a Keras model costs: output, parameters, multiply-adds, activations.

MODEL is a `.keras` file, the folder of a run, or the name of a network: m0, m1, m2, m3.

Examples:

  micronet profile m0 --height=96
  micronet profile out/m0 --form=csv
"""

import json
from pathlib import Path

from absl import flags

from micronet_cli import script
from micronet_mcu.errors import UserError

_HEIGHT = flags.DEFINE_integer(
    "height", None, "of the image to count for; the model's own if left out"
)
_WIDTH = flags.DEFINE_integer("width", None, "its width; the height if left out")
_FORM = flags.DEFINE_enum("form", "table", ["table", "csv", "json"], "what is printed")


def main(argv: list[str]) -> None:
    given = script.argument(argv, "MODEL")
    from micronet_keras.models import CONFIGS, MicroNet, profile, read_keras
    from micronet_keras.train import read_run

    if given in CONFIGS:
        model = MicroNet(given, (None, None, 3) if _HEIGHT.value else None)
    else:
        model = read_run(given).model() if Path(given).is_dir() else read_keras(given)
    shape = None
    if _HEIGHT.value:
        shape = (_HEIGHT.value, _WIDTH.value or _HEIGHT.value, model.input_shape[-1])
    try:
        costs = profile(model, shape)
    except ValueError as error:
        raise UserError(f"{given}: {error}") from error
    print(
        {
            "table": lambda: str(costs),
            "csv": lambda: costs.table().csv().rstrip(),
            "json": lambda: json.dumps(costs.as_dict(), indent=1),
        }[_FORM.value]()
    )


def run() -> None:
    script.run(main, positional="MODEL")
