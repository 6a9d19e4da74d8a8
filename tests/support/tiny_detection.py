"""A detection dataset of a few drawn images for the tests, with whatever annotations they need."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image
from small_micronet import row

from micronet_keras.data import Source
from micronet_keras.models import MicroNet, MicroNetConfig, MicroNetObjectDetector

SIZE = 64
CLASS_NAMES = ["bright", "dark"]


def draw(index):
    """An image with one or two squares; its boxes (relative) and labels."""
    random = np.random.RandomState(index)
    image = np.full((SIZE, SIZE, 3), 128, np.uint8)
    image += random.randint(0, 20, image.shape).astype(np.uint8)
    boxes, labels = [], []
    for left in (2, 34)[: random.randint(1, 3)]:
        side, label = random.randint(16, 27), random.randint(2)
        top = random.randint(2, SIZE - side - 2)
        image[top : top + side, left : left + side] = (250, 10)[label]
        boxes.append([top, left, top + side, left + side])
        labels.append(label)
    return image, np.array(boxes, np.float32) / SIZE, np.array(labels, np.int64)


def encoded(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def spoiled(index, boxes, labels):
    """Record 1: every kind of bad box before a good one; record 2: a box a little beyond."""
    if index == 1:
        bad = [[np.nan, 0, 1, 1], [0, 0, 0.5, 1.5], [0.5, 0.5, 0.5, 0.9], [0.6, 0, 0.2, 1]]
        boxes = np.array([*bad, [0, 0, 1, 1], [0.1, 0.1, 0.6, 0.6]], np.float32)
        labels = np.array([0, 0, 0, 0, 7, 1])
    if index == 2:
        boxes, labels = np.array([[-0.005, 0, 0.5, 1.005]], np.float32), np.array([0])
    return boxes, labels


def make_source(splits, spoil=None, crowd=False, class_names=CLASS_NAMES):
    """A `Source` with drawn images; `spoil(index, boxes, labels)` may change the annotations."""

    def read(split):
        first = 1000 * list(splits).index(split)

        def generate():
            for index in range(splits[split]):
                image, boxes, labels = draw(first + index)
                if spoil:
                    boxes, labels = spoil(index, boxes.copy(), labels.copy())
                objects = {"bbox": boxes, "label": labels}
                if crowd:
                    objects["is_crowd"] = np.arange(len(labels)) == 0
                yield {
                    "image": encoded(image),
                    "record": f"{split}[{index}]",
                    "objects": objects,
                }

        objects = {
            "bbox": tf.TensorSpec((None, 4), tf.float32),
            "label": tf.TensorSpec((None,), tf.int64),
        }
        if crowd:
            objects["is_crowd"] = tf.TensorSpec((None,), tf.bool)
        signature = {
            "image": tf.TensorSpec((), tf.string),
            "record": tf.TensorSpec((), tf.string),
            "objects": objects,
        }
        return tf.data.Dataset.from_generator(generate, output_signature=signature)

    return Source(
        "tiny",
        class_names=class_names,
        splits=dict(splits),
        has_labels=False,
        crop_fraction=1.0,
        read=read,
        object_class_names=class_names,
    )


# Down to stride 32, as small as it can be.
BACKBONE = MicroNetConfig(
    name="tiny",
    rows=(
        row(2, 8, 3, (2, 2), (0, 4, 2, 2), (0, 0, 0)),
        row(2, 12, 3, (2, 2), (0, 4, 2, 2), (0, 2, 0)),
        row(2, 16, 3, (2, 2), (0, 4, 4, 4), (0, 0, 0)),
        row(2, 24, 3, (1, 2), (4, 4, 4, 4), (0, 0, 0)),
        row(1, 48, 3, (1, 2), (4, 4, 0, 0), (0, 0, 0)),
    ),
    stem_groups=(2, 2),
    hidden_units=16,
    dropout_rate=0.0,
)


def tiny_detector(classes=2, size=(SIZE, SIZE), **head):
    """A detector of one level of 8 x 8 places at 64 x 64 pixels."""
    backbone = MicroNet(BACKBONE, input_shape=(*size, 3), include_top=False)
    head = {"strides": (8,), "width": 16, "blocks": 1, **head}
    return MicroNetObjectDetector(backbone, classes, **head)
