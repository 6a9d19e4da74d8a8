"""The quantization debugger finds what a test has broken."""

import dataclasses

import numpy as np
import pytest
import small_micronet
from small_cnn import small_cnn

from micronet_keras.lower import lower
from micronet_keras.quantize import convert, debug_quantization, post_training_quantize
from micronet_mcu.errors import UserError
from micronet_mcu.tflite.rewrite import pack, unpack

IMAGES = small_micronet.images(8)


@pytest.fixture(scope="module")
def model():
    return small_micronet.small_micronet()


@pytest.fixture(scope="module")
def quantized(model):
    return post_training_quantize(model, IMAGES)


@pytest.fixture(scope="module")
def sound(model, quantized):
    return debug_quantization(model, convert(quantized), IMAGES)


def with_range(quantized, name, factor):
    low, high = quantized.ranges[name]
    return dataclasses.replace(
        quantized, ranges={**quantized.ranges, name: (low * factor, high * factor)}
    )


def test_a_sound_model_is_left_alone(sound, quantized):
    assert sound.images == 8
    assert sound.signal_to_noise == pytest.approx(quantized.signal_to_noise, abs=1.5)
    assert sound.explained == pytest.approx(sound.signal_to_noise, abs=5)
    assert sum(tensor.share for tensor in sound.tensors) == pytest.approx(1)
    assert not any(tensor.foreign for tensor in sound.tensors)
    assert not any("not this model's" in text or "else is wrong" in text for text in sound.advice)
    kinds = {
        kind: [t for t in sound.tensors if t.kind == kind] for kind in ("weights", "activations")
    }
    assert {t.name for t in kinds["activations"]} >= set(quantized.ranges)
    # Every kernel of the graph, DY-ShiftMax's among them, is told in the flatbuffer.
    assert len(kinds["weights"]) > 30
    assert min(t.signal_to_noise for t in kinds["weights"]) > 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "factor", "says"),
    [
        ("block2/squeeze", 1 / 12, "of its values are beyond its range"),
        ("logits_dense", 24, "of its steps are used, its range"),
    ],
)
def test_a_wrong_range_is_found(model, quantized, sound, name, factor, says):
    broken = with_range(quantized, name, factor)
    found = debug_quantization(model, convert(broken), IMAGES)
    assert found.worst[0].name == name and found.worst[0].kind == "activations"
    assert found.worst[0].share > 0.4
    assert found.signal_to_noise < sound.signal_to_noise - 2
    assert found.advice[0].startswith(f"{name} alone gives") and says in found.advice[0]


def damaged(flatbuffer, name, change):
    """The flatbuffer with the constant of a tensor changed."""
    model = unpack(flatbuffer)
    (tensor,) = [t for t in model.subgraphs[0].tensors if t.name.decode() == name]
    values = np.array(model.buffers[tensor.buffer].data, np.uint8).view(np.int8)
    model.buffers[tensor.buffer].data = change(values).astype(np.int8).view(np.uint8)
    return pack(model)


@pytest.mark.slow
def test_foreign_weights_are_found(model, quantized):
    broken = damaged(convert(quantized), "block2/squeeze/weights", np.flip)
    found = debug_quantization(model, broken, IMAGES)
    assert [(t.name, t.kind) for t in found.tensors if t.foreign] == [("block2/squeeze", "weights")]
    assert found.worst[0].foreign
    assert "the weights of block2/squeeze are not this model's" in found.advice[0]


def test_what_rounding_does_not_explain_is_found():
    """A bias is no weight that the debugger looks at; it sees where the dB are lost."""
    model = small_cnn()
    images = small_micronet.images(8, 16)
    quantized = post_training_quantize(model, images)

    def shifted(flatbuffer):
        parts = unpack(flatbuffer)
        (tensor,) = [t for t in parts.subgraphs[0].tensors if t.name.decode() == "conv/bias"]
        values = np.array(parts.buffers[tensor.buffer].data, np.uint8).view(np.int32)
        parts.buffers[tensor.buffer].data = (values + 20_000).view(np.uint8)
        return pack(parts)

    found = debug_quantization(quantized, shifted(convert(quantized)), images)
    assert "something else is wrong" in found.advice[-1]
    names = [t.name for t in found.tensors if t.kind == "activations"]
    assert max(found.tensors, key=lambda t: t.lost or 0).name == names[1]


def test_it_prints_and_draws(sound, tmp_path):
    assert str(sound).splitlines()[0].startswith("int8 against float")
    assert sound.table().csv().count("\n") == len(sound.tensors) + 1
    assert len(sound.tables()[0].rows) == 15
    figure = sound.plot(tmp_path / "noise.png")
    assert len(figure.axes) == 2 and (tmp_path / "noise.png").stat().st_size > 10_000


def test_another_models_flatbuffer_is_refused(quantized):
    with pytest.raises(UserError, match="none of the layers of this model"):
        debug_quantization(lower(small_cnn(32)), convert(quantized), IMAGES)
