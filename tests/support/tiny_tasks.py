"""Every task with a dataset in memory, settings, and a model that trains in seconds."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import stick_figures
import tensorflow as tf
import tiny_detection
from stick_figures import encoded, tiny_backbone

from micronet_keras.data import Source
from micronet_keras.models import MicroNetPoseEstimator, PoseHead
from micronet_keras.tasks import (
    CLASSIFICATION,
    DETECTION,
    KEYPOINTS,
    ClassificationConfig,
    DetectionConfig,
    KeypointConfig,
    Task,
    TrainConfig,
)

SPLITS = {"train": 32, "validation": 8, "test": 12}
HEAD = PoseHead(widths=(16, 16, 16, 16), groups=(4, 4, 4, 4), branches=(0, 0, 0, 0), kernel_size=3)


def side_picture(index, size=40):
    """Noise that is brighter on the left (label 0) or on the right (1)."""
    random = np.random.RandomState(index)
    pixels = random.randint(0, 120, (size, size, 3)).astype(np.uint8)
    half = np.s_[:, : size // 2] if index % 2 == 0 else np.s_[:, size // 2 :]
    pixels[half] += 130
    return pixels, index % 2


def ground_picture(index, size=32):
    """Noise that is darker (label 0) or brighter (1) than the middle; neither black nor white."""
    grey = np.random.RandomState(index).randint(60, 100, (size, size, 3)).astype(np.uint8)
    return grey + np.uint8(index % 2 * 90), index % 2


def labelled(draw, class_names, splits=SPLITS):
    """A Source of pictures and labels from `draw(index)`."""

    def read(split):
        first = 1000 * list(splits).index(split)

        def generate():
            for index in range(splits[split]):
                pixels, label = draw(first + index)
                yield {"image": encoded(pixels), "record": f"{split}[{index}]", "label": label}

        signature = {
            "image": tf.TensorSpec((), tf.string),
            "record": tf.TensorSpec((), tf.string),
            "label": tf.TensorSpec((), tf.int64),
        }
        return tf.data.Dataset.from_generator(generate, output_signature=signature)

    return Source("tiny", class_names, dict(splits), True, 1.0, read)


def sides():
    """Classes that a mirror exchanges."""
    return labelled(side_picture, ["left", "right"])


def grounds():
    return labelled(ground_picture, ["dark", "bright"])


def tiny_classifier(size=(32, 32)):
    """Convolutions down to one place that sees all of 32 x 32 pixels."""
    x = image = keras.Input((*size, 3))
    for number in range(5):
        x = keras.layers.Conv2D(8, 3, 2, "same", use_bias=False, name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"bn{number}")(x)
        x = keras.layers.ReLU(6.0, name=f"relu{number}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(2, name="logits")(x), name="tiny")


def talkative_detector(size=(64, 64)):
    """One that finds something from the start, be it right or wrong."""
    model = tiny_detection.tiny_detector(size=size)
    model.get_layer("p3_scores").bias.assign([-1.0, -1.0])
    return model


@dataclasses.dataclass(frozen=True)
class Case:
    """A task with all that a run of it needs.

    Attributes:
        task, config: what is learnt, and how.
        build: a new model, of (height, width) if given.
        source: a new dataset.
        figures: the names of what is measured.
        loss: settings of the loss that are not its defaults.
        say, apart: numbers out of predictions, and how far int8 may be from float in them.
    """

    task: Task
    config: object
    build: Callable[..., keras.Model]
    source: Callable[[], Source]
    figures: tuple[str, ...]
    loss: dict
    say: Callable[[list], np.ndarray]
    apart: float


def _training(**changes):
    # Nothing that a fine-tuning might take for granted.
    chosen = {"batch_size": 8, "epochs": 2, "learning_rate": 0.02, "flip": False}
    return TrainConfig(**{**chosen, **changes})


CASES = {
    case.task.name: case
    for case in (
        Case(
            CLASSIFICATION,
            ClassificationConfig(
                training=_training(image_size=32), min_scale=0.9, label_smoothing=0.1
            ),
            tiny_classifier,
            sides,
            ("accuracy",),
            {"label_smoothing": 0.1},
            np.asarray,
            0.2,
        ),
        Case(
            DETECTION,
            DetectionConfig(
                training=_training(image_size=64),
                smallest_window=0.9,
                largest_window=1.1,
                class_loss="focal",
                box_loss="ciou",
                box_weight=3.0,
            ),
            talkative_detector,
            lambda: tiny_detection.make_source(SPLITS),
            ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
            {"class_loss": "focal", "box_loss": "ciou", "box_weight": 3.0},
            lambda found: np.array([image.scores[0] for image in found]),
            0.05,
        ),
        Case(
            KEYPOINTS,
            KeypointConfig(training=_training(image_size=64), sigma=1.5, half_body=0.0),
            lambda size=(64, 64): MicroNetPoseEstimator(tiny_backbone((*size, 3)), HEAD),
            lambda: stick_figures.figures(**SPLITS),
            ("AP", "AP50", "AP75", "OKS", "error_cells"),
            {"sigma": 1.5},
            lambda found: found[..., 2],
            0.03,
        ),
    )
}


def with_broken_image(source, split, number):
    """`source` with a record whose image does not decode."""

    def read(name):
        def spoiled(index, record):
            broken = (name == split) & (index == number)
            return {**record, "image": tf.where(broken, b"broken", record["image"])}

        return source.read(name).enumerate().map(spoiled)

    return dataclasses.replace(source, read=read)


class Noted:
    """A task that does the same as another one and notes what a training asks of it.

    Attributes:
        task: to be given away.
        trained_on: (config, [(pixels, targets)]) for every stream of training batches.
        losses: those that were made.
        loss_calls: how often one of them was computed.
    """

    def __init__(self, task: Task):
        noted = self
        self.trained_on, self.losses, self.loss_calls = [], [], 0

        class Noting(type(task)):
            def batches(self, examples, config, *, training, first_epoch=0):
                data = super().batches(examples, config, training=training, first_epoch=first_epoch)
                if training:
                    noted.trained_on.append((config, list(data.as_numpy_iterator())))
                return data

            def loss(self, model, config):
                made = super().loss(model, config)
                compute = made.call

                def counted(y_true, y_pred):
                    noted.loss_calls += 1
                    return compute(y_true, y_pred)

                made.call = counted
                noted.losses.append(made)
                return made

        self.task = Noting()
