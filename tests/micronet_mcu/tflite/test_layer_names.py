"""What the layers of a flatbuffer are called, whoever converted it."""

import pytest
from tiny_tflite import TinyModel

from micronet_mcu.graph.read import read_model
from micronet_mcu.tflite.model import layer_name


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ("block3/depthwise/vertical", "block3/depthwise/vertical"),
        ("sequential/conv2d_1/Relu6;sequential/conv2d_1/BiasAdd;x", "sequential/conv2d_1"),
        ("model/dense/MatMul;model/dense/BiasAdd", "model/dense"),
        ("Relu6", "Relu6"),
        ("StatefulPartitionedCall:0", "operator 0 CONV_2D"),
        ("", "operator 0 CONV_2D"),
        ("a/" * 60 + "end", "..." + ("a/" * 60 + "end")[-57:]),
        ("two\nlines", "two?lines"),
    ],
)
def test_layer_name(tensor, expected):
    m = TinyModel()
    y = m.conv(m.input((1, 4, 4, 3)), 2)
    m.tensors[y].name = tensor
    model = read_model(m.build(y))
    assert layer_name(model, model.operators[0]) == expected
    assert model.describe(model.operators[0]).count("operator 0 CONV_2D (1x4x4x3, ") == 1
