"""A training run of a second for the tests, with all that could make a resumed one differ.

`python tiny_training.py FOLDER` runs it, so that a test can kill it.
"""

import dataclasses
import sys

import keras
import numpy as np
import tensorflow as tf

from micronet_keras.losses import SmoothedCrossentropy
from micronet_keras.tasks import TrainConfig
from micronet_keras.train.loop import make_repeatable, run_training
from micronet_keras.train.run_folder import RunFolder

STEPS = 6
CONFIG = TrainConfig(
    image_size=32,
    batch_size=8,
    epochs=4,
    learning_rate=0.1,
    warmup_epochs=1,
    weight_decay=1e-3,
    ema=0.9,
)


def tiny_model(config=CONFIG):
    make_repeatable(config)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(3),
        ],
        name="tiny",
    )


def batches(first_epoch, epochs=CONFIG.epochs, spoil=lambda epoch, images: images):
    """A stream whose order and noise are a function of the epoch."""

    def generate():
        for epoch in range(first_epoch, epochs):
            random = np.random.RandomState(1000 + epoch)
            for _ in range(STEPS):
                labels = random.randint(0, 3, CONFIG.batch_size).astype("int32")
                images = random.standard_normal((CONFIG.batch_size, 6, 6, 1)).astype("float32")
                images[np.arange(CONFIG.batch_size), labels, labels] += 2
                yield spoil(epoch, images), labels

    signature = (
        tf.TensorSpec((CONFIG.batch_size, 6, 6, 1), "float32"),
        tf.TensorSpec((CONFIG.batch_size,), "int32"),
    )
    stream = tf.data.Dataset.from_generator(generate, output_signature=signature)
    steps = (epochs - first_epoch) * STEPS
    return stream.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)


def train(folder, config=CONFIG, model=None, data=batches, force=False):
    """Runs or resumes the training in `folder` and returns (model, history)."""
    run = RunFolder(folder)
    resume = run.open(dataclasses.asdict(config), force)
    model = model or tiny_model(config)
    history = run_training(
        model,
        loss=SmoothedCrossentropy(0.1),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        monitor="val_accuracy",
        train_data=data,
        steps_per_epoch=STEPS,
        validation_data=batches(100, 101),
        config=config,
        run=run,
        resume=resume,
    )
    return model, history


if __name__ == "__main__":
    train(sys.argv[1])


def tiny_classifier(input_shape=(32, 32, 3), classes=2, dropout_rate=0.1, weights=None):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(4, 3, strides=4, use_bias=False, name="stem"),
            keras.layers.BatchNormalization(momentum=0.9, name="stem_bn"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(dropout_rate),
            keras.layers.Dense(classes, name="logits"),
        ],
        name="tiny",
    )
