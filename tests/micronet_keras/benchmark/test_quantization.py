"""The comparison of networks in int8: measured once, and kept with how it was measured."""

import keras
import numpy as np
import pytest
from picture_folders import red_and_green
from script_runner import ScriptRunner

from micronet_keras.benchmark import quantization, quantized_networks
from micronet_keras.benchmark.published import render
from micronet_keras.benchmark.record import read_record
from micronet_keras.data import load_dataset
from micronet_keras.quantize import QuantizeConfig
from micronet_keras.tasks import CLASSIFICATION, replace

NAME = "ds_cnn"


def tiny(input_shape, classes):
    x = image = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, strides=4, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(classes)(x))


@pytest.mark.slow
def test_a_network_is_trained_quantized_and_measured_once(tmp_path, monkeypatch):
    networks = {NAME: quantized_networks.Network(tiny)}
    monkeypatch.setattr(quantized_networks, "NETWORKS", networks)
    monkeypatch.setattr(quantization, "NETWORKS", networks)
    source = load_dataset(str(red_and_green(tmp_path / "pictures")))
    config = replace(CLASSIFICATION.recipes["quick"], image_size=32, batch_size=20, epochs=2)
    tuning = QuantizeConfig(batch_size=20, engine="keras")

    def compared(command):
        results = tmp_path / "results.json"
        figures = quantization.compare_quantization(
            NAME, source, config, tuning, tmp_path / NAME, results, command, limit=10
        )
        return figures, read_record(results)[f"quantization_{NAME}"]

    figures, measured = compared("first")
    assert measured["figures"] == figures
    assert measured["kind"] == "training" and len(measured["flatbuffer_sha256"]) == 64
    assert figures["images"] == 10 and figures["parameters"] == 122
    assert 0 <= figures["float_difference"] < 1e-4
    # Means of noise, all alike, in the steps of the noise.
    assert figures["ptq_sqnr_db"] > 8 and figures["qat_sqnr_db"] > 8
    assert figures["c"] == "equal"
    monkeypatch.setattr(quantization, "train", lambda *_, **__: pytest.fail("trained again"))
    assert compared("first") == (figures, measured)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        compared("second")
    row = render("quantization", {f"quantization_{NAME}": measured})
    assert f"| {NAME} | " in row and f"{figures['ptq_sqnr_db']} dB" in row


def test_what_cannot_be_compiled_says_so(monkeypatch):
    def refuse(*_, **__):
        raise quantization.UserError("SVDF is not compiled")

    monkeypatch.setattr(quantization, "HostRunner", refuse)
    assert quantization._compiled(b"", np.zeros((1, 8, 8, 3))) == "not compiled"


def test_an_unknown_network_is_one_line(capsys):
    runner = ScriptRunner("compare_quantization")
    try:
        assert runner("--only=resnet8,lenet") == 2
    finally:
        runner.close()
    assert "there is no network 'lenet'; choose among micronet_m0" in capsys.readouterr().err
