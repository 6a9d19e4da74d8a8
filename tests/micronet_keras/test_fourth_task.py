"""A task of a user's own, in one file: is a pixel part of the bundled figures, or ground?

It trains, resumes, is quantized both ways, converted, run on TFLM and compared, and no package
knows of it.
"""

import dataclasses
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from stick_figures import figures

from micronet_keras.compare import compare
from micronet_keras.quantize import QuantizeConfig, convert, quantize
from micronet_keras.tasks import Measured, Task, TrainConfig
from micronet_keras.tasks.task import check_image_shape
from micronet_keras.train import make_repeatable, train

SIZE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig:
    training: TrainConfig = TrainConfig(image_size=SIZE, batch_size=8, epochs=2, learning_rate=0.1)
    threshold: float = 0.0


def draw(path, title, outputs):
    Image.fromarray(np.uint8(outputs[0, ..., 0] > 0) * 255).save(path, "PNG")


class Segmentation(Task):
    name = "segmentation"
    config = SegmentationConfig
    recipes = {"quick": SegmentationConfig()}
    dataset = "micronet_shapes/multi"
    monitor = "accuracy"

    def class_names(self, source):
        return ["figure"]

    def build(self, network, source, config, weights=None, skip_head=False):
        x = image = keras.Input((SIZE, SIZE, 3))
        for width in (8, 8):
            x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
            x = keras.layers.ReLU(6.0)(x)
        return keras.Model(image, keras.layers.Conv2D(1, 1)(x), name="segmenter")

    def check(self, runner, source, config):
        check_image_shape(runner, config)

    def batches(self, examples, config, *, training, first_epoch=0):
        def one(record):
            image = tf.image.decode_image(record["image"], 3, expand_animations=False)
            image = tf.image.resize(image, (SIZE, SIZE), antialias=True)
            # The bundled grounds are brighter or darker than the figures in all channels alike.
            grey = tf.reduce_mean(image, axis=-1, keepdims=True)
            return tf.cast(image, tf.uint8), tf.cast(grey > tf.reduce_mean(grey), tf.float32)

        data = examples.source.raw(examples.split).map(one)
        if training:
            data = data.repeat(config.training.epochs - first_epoch)
        return data.batch(config.training.batch_size, drop_remainder=training)

    def loss(self, model, config):
        return keras.losses.BinaryCrossentropy(from_logits=True)

    def metrics(self, model):
        return [keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)]

    def measure(self, predict, examples, config, limit=None):
        pairs = list(self.batches(examples, config, training=False).unbatch().take(limit or -1))
        pixels, truth = (np.stack(column) for column in zip(*pairs, strict=True))
        outputs = predict(pixels)
        share = float(np.mean((outputs > config.threshold) == (truth > 0.5)))
        return Measured({"accuracy": share}, len(truth), partial(draw, outputs=outputs), outputs)


TASK = Segmentation()
TASKS = {TASK.name: TASK}
SOURCE = figures(train=32, validation=8, test=12)


def trained(folder, config, task=TASK):
    make_repeatable(config.training)
    return train(task, task.build("tiny", SOURCE, config), SOURCE, config, folder)


class Interrupted(Segmentation):
    def batches(self, examples, config, *, training, first_epoch=0):
        data = super().batches(examples, config, training=training, first_epoch=first_epoch)
        return data.take(6) if training else data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmentation") / "run"
    trained(folder, TASK.recipes["quick"])
    return folder


@pytest.mark.slow
def test_it_learns_and_a_run_cut_short_ends_the_same(run, tmp_path):
    config = TASK.recipes["quick"]
    whole = trained(run, config)
    assert not whole.trained and whole.summary["test_accuracy"] > 0.6
    with pytest.raises(ValueError, match="4 batches per epoch"):
        trained(tmp_path / "cut", config, Interrupted())
    resumed = trained(tmp_path / "cut", config)
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]
    assert resumed.summary["test_accuracy"] == whole.summary["test_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1])
def test_it_is_quantized_and_compared(run, tmp_path, epochs):
    settings = QuantizeConfig(epochs=epochs, batch_size=8, calibration_images=16)
    backup = tmp_path / "backup"
    quantized = quantize(run, settings, backup=backup, source=SOURCE, tasks=TASKS, verbose=0)
    # Of a fine-tuning that is over, too: the backup is the caller's.
    assert backup.exists() == bool(epochs)
    assert quantized.task == "segmentation" and quantized.class_names == ("figure",)
    result = compare(run, convert(quantized), source=SOURCE, tasks=TASKS, compiled=True)
    summary = result.summary
    assert summary["images"] == 12
    assert abs(summary["float_accuracy"] - summary["int8_accuracy"]) < 0.05
    assert summary["int8_accuracy"] == summary["c_accuracy"]
    result.measured["int8"].draw(tmp_path / "picture.png", "what it says")
    assert Image.open(tmp_path / "picture.png").size == (SIZE, SIZE)
