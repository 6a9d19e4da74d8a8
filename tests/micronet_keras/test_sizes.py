"""Pictures that are wider than high, or higher than wide, from training to int8.

Those of people are so by default, and tested with keypoints.
"""

import pytest
from tiny_tasks import CASES

from micronet_keras.compare import compare
from micronet_keras.quantize import QuantizeConfig, convert, quantize
from micronet_keras.tasks import replace
from micronet_keras.train import train
from micronet_mcu import read_model


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("classification", (32, 48)), ("detection", (64, 32))])
def test_tasks_take_them(name, size, tmp_path):
    case = CASES[name]
    source = case.source()
    config = replace(case.config, image_size=size[0], image_width=size[1], epochs=1)
    train(case.task, case.build(size), source, config, tmp_path / "run")
    settings = QuantizeConfig(epochs=0, calibration_images=8)
    flatbuffer = convert(quantize(tmp_path / "run", settings, source=source))
    model = read_model(flatbuffer)
    assert model.tensors[model.inputs[0]].shape == (1, *size, 3)
    result = compare(tmp_path / "run", flatbuffer, source=source, limit=2)
    assert result.summary["images"] == 2
    said, int8 = (result.summary[f"{form}_{case.figures[0]}"] for form in ("float", "int8"))
    assert said is None or abs(said - int8) <= 0.5
    result.measured["int8"].draw(tmp_path / "picture.png", "int8")
    assert (tmp_path / "picture.png").stat().st_size > 1000
