"""A dataset of drawn people in memory, and a MicroNet small enough to train on it in a test."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from micronet_keras.data import Source
from micronet_keras.data.figures import CLASS_NAMES
from micronet_keras.data.scenes import draw_scene
from micronet_keras.models import MicroNet, MicroNetConfig, MicroNetRow

PERSON = CLASS_NAMES.index("person")
SIZE = 96


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def figure_record(split, index):
    """A picture of one person, in the form of `micronet_shapes`."""
    key = (77, ["train", "validation", "test"].index(split), index)
    pixels, (figure,) = draw_scene(key, SIZE, labels=[PERSON])
    return {
        "image": encoded(pixels),
        "objects": {
            "bbox": np.array([figure.box], np.float32) / SIZE,
            "label": np.array([PERSON], np.int64),
            "keypoints": figure.keypoints[None] / np.array([SIZE, SIZE, 1], np.float32),
            "area": np.array([figure.area], np.int64),
            "is_crowd": np.array([False]),
        },
    }


_SIGNATURE = {
    "image": tf.TensorSpec((), tf.string),
    "record": tf.TensorSpec((), tf.string),
    "objects": {
        "bbox": tf.TensorSpec((None, 4), tf.float32),
        "label": tf.TensorSpec((None,), tf.int64),
        "keypoints": tf.TensorSpec((None, 17, 3), tf.float32),
        "area": tf.TensorSpec((None,), tf.int64),
        "is_crowd": tf.TensorSpec((None,), tf.bool),
    },
}


def source_of(records):
    """A Source of {split: [record]}."""

    def read(split):
        def generate():
            for index, record in enumerate(records[split]):
                yield {**record, "record": f"{split}[{index}]"}

        return tf.data.Dataset.from_generator(generate, output_signature=_SIGNATURE)

    splits = {split: len(listed) for split, listed in records.items()}
    return Source("figures", list(CLASS_NAMES), splits, has_labels=False, crop_fraction=1.0,
                  read=read, object_class_names=list(CLASS_NAMES))  # fmt: skip


def figures(**counts):
    """A Source with so many people in each split."""
    return source_of(
        {split: [figure_record(split, i) for i in range(n)] for split, n in counts.items()}
    )


def _row(strides, filters, multipliers, groups, branches):
    expand, hidden, squeeze, output = groups
    return MicroNetRow(
        strides=strides, repeats=1, filters=filters, kernel_size=3, multipliers=multipliers,
        expand_groups=expand, hidden_groups=hidden, squeeze_groups=squeeze, output_groups=output,
        expand_branches=branches[0], depthwise_branches=branches[1], squeeze_branches=branches[2],
        reduction=1,
    )  # fmt: skip


def tiny_backbone(shape=(64, 64, 3)):
    """Like the published networks of stride 32, with one row for each stride."""
    config = MicroNetConfig(
        name="tiny",
        stem_groups=(4, 2),
        hidden_units=8,
        dropout_rate=0.0,
        rows=(
            # Dynamic Shift-Max here and there only: it is most of a graph, and of a test's time.
            _row(2, 12, (2, 2), (0, 4, 2, 2), (0, 0, 0)),
            _row(2, 16, (2, 2), (0, 4, 4, 4), (0, 2, 0)),
            _row(2, 24, (2, 2), (0, 4, 4, 4), (0, 0, 1)),
            _row(2, 32, (1, 2), (4, 4, 4, 4), (0, 0, 0)),
            _row(1, 64, (1, 2), (4, 4, 0, 0), (0, 0, 0)),
        ),
    )
    return MicroNet(config, input_shape=shape, include_top=False)
