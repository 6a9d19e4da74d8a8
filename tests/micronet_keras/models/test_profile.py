"""What layers cost: against published figures, and layer by layer."""

import json

import keras
import pytest
import small_micronet

from micronet_keras.layers import MAdds
from micronet_keras.models import count_madds, profile

APPLICATIONS = keras.applications


# Parameters as torchvision publishes them for the same networks, MAdds as the papers do.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "parameters", "madds", "within"),
    [
        (APPLICATIONS.MobileNetV2, 3_504_872, 300e6, 0.01),
        (APPLICATIONS.MobileNetV3Small, 2_542_856, 56e6, 0.01),
        # Keras' network has fewer than the paper counts.
        (APPLICATIONS.MobileNetV3Large, 5_483_032, 219e6, 0.012),
    ],
)
def test_published_figures(build, parameters, madds, within):
    costs = profile(build(weights=None), (224, 224, 3))
    assert costs.parameters == parameters
    assert costs.madds.total == pytest.approx(madds, rel=within)


def test_the_layers_of_a_block_add_up_to_the_block():
    model = small_micronet.small_micronet()
    blocks = [layer for layer in model.layers if layer.name.startswith("block")]
    costs = profile(model)
    assert costs.parameters == sum(w.numpy().size for w in model.trainable_weights)
    assert costs.madds == count_madds(model)
    for block in blocks:
        rows = [row for row in costs.layers if row.name.startswith(f"{block.name}/")]
        assert len(rows) > 3
        assert sum(row.parameters for row in rows) == sum(
            w.numpy().size for w in block.trainable_weights
        )
    squeeze = next(row for row in costs.layers if row.name == "block1/squeeze_activation")
    assert (squeeze.kind, squeeze.output_shape) == ("DYShiftMax", (8, 8, 8))
    assert squeeze.dense > 0 and squeeze.convolution == 0 and squeeze.dy_shift_max == 2 * 8 * 64


def test_frozen_layers_have_their_parameters_still():
    model = small_micronet.small_micronet()
    before = profile(model).parameters
    model.trainable = False
    assert profile(model).parameters == before


class OwnBlock(keras.layers.Layer):
    """A layer made of others."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first = keras.layers.Conv2D(4, 3, padding="same", name="first")
        self.second = keras.layers.SeparableConv2D(2, 3, padding="same", name="second")

    def build(self, shape):
        self.first.build(shape)
        self.second.build((*shape[:-1], 4))

    def call(self, x):
        return self.second(keras.ops.relu(self.first(x)))


class OwnModel(keras.Model):
    """A model with a `call` of its own."""

    def __init__(self):
        super().__init__()
        self.block = OwnBlock(name="block")
        self.up = keras.layers.Conv2DTranspose(1, 2, strides=2, name="up")
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.dense = keras.layers.Dense(5, name="dense")

    def call(self, x):
        return self.dense(self.pool(self.up(self.block(x))))


def test_any_keras_model_is_counted():
    rows = {row.name: row for row in profile(OwnModel(), (8, 8, 3)).layers}
    assert rows["block/first"].convolution == 64 * 9 * 3 * 4
    assert rows["block/second"].convolution == 64 * (9 * 4 + 4 * 2)
    assert rows["up"].convolution == 64 * 4 * 2 and rows["up"].output_shape == (16, 16, 1)
    assert (rows["dense"].dense, rows["dense"].parameters) == (5, 10)

    sequence = keras.Input((8, 4))
    first = keras.layers.Conv1D(4, 3, name="conv")
    x = first(keras.layers.ZeroPadding1D(1)(first(keras.layers.ZeroPadding1D(1)(sequence))))
    costs = profile(keras.Model(sequence, keras.layers.LSTM(3, name="loop")(x)))
    met = [row for row in costs.layers if row.name == "conv"]
    assert [row.convolution for row in met] == [8 * 3 * 4 * 4] * 2
    assert [row.parameters for row in met] == [52, 0]  # Shared: once.
    assert dict(costs.facts())["not counted"] == "loop (LSTM)"


def test_it_is_table_csv_and_dictionary():
    image = keras.Input((4, 4, 3))
    costs = profile(keras.Model(image, keras.layers.Conv2D(2, 1, name="a,b")(image), name="tiny"))
    assert costs.table().csv().splitlines()[1] == '"a,b",Conv2D,4 x 4 x 2,8,96,0,0,32'
    assert json.loads(json.dumps(costs.as_dict()))["layers"][0]["madds"] == 96
    assert "a,b    Conv2D  4 x 4 x 2" in str(costs)
    assert costs.madds == MAdds(96, 0)


def test_a_size_is_asked_for():
    with pytest.raises(ValueError, match="`input_shape` must be given for OwnModel|own_model"):
        profile(OwnModel())
