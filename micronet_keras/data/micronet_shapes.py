"""The bundled dataset `micronet_shapes` as a TFDS builder: drawn here, not downloaded."""

import dataclasses
import io
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from micronet_keras.data.figures import CLASS_NAMES, KEYPOINT_COUNT
from micronet_keras.data.scenes import SceneObject, draw_scene

# The first number of an image's key; an image is a pure function of (config, split, index).
_SPLIT_KEYS = {"train": 1, "validation": 2, "test": 3}


@dataclasses.dataclass
class ShapesConfig(tfds.core.BuilderConfig):
    """One variant of the dataset.

    Attributes:
        image_size: height and width in pixels.
        max_objects: figures in an image: exactly one, or one to `max_objects`.
        examples: images per split.
    """

    image_size: int = 96
    max_objects: int = 1
    examples: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"train": 8000, "validation": 1000, "test": 1000}
    )


class MicronetShapes(tfds.core.GeneratorBasedBuilder):
    """Ten kinds of shapes in clutter, drawn procedurally, the same on every machine.

    Configurations: `single` (the default; one figure in 96 x 96 pixels, the classes balanced) and
    `multi` (one to four figures in 128 x 128 pixels, for detection and keypoints).

    Features: `image` uint8 [size, size, 3]; `label`, the class of the largest figure; `objects`, a
    sequence, the largest first, of `bbox` (TFDS's relative ymin, xmin, ymax, xmax), `label`,
    `area` in pixels, `is_crowd` (never) and `keypoints` float32 [17, 3]: (x, y, visibility) with x
    and y relative to the image (0..1) and visibility as in COCO (0 not labelled, 1 hidden, 2
    visible). `micronet_keras.data.figures.KEYPOINT_NAMES` says which keypoints a class has; those
    of `person` are the 17 of COCO.

    Example:

    >>> import tensorflow_datasets as tfds, micronet_keras.data
    >>> sorted(tfds.builder("micronet_shapes/multi").info.features)
    ['image', 'label', 'objects']
    """

    VERSION = tfds.core.Version("1.3.0")
    RELEASE_NOTES = {"1.3.0": "The first published version."}
    BUILDER_CONFIGS = [
        ShapesConfig(name="single", description="One figure in an image."),
        ShapesConfig(
            name="multi", description="One to four figures.", image_size=128, max_objects=4
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.image_size
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=CLASS_NAMES),
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(names=CLASS_NAMES),
                            "keypoints": tfds.features.Tensor(
                                shape=(KEYPOINT_COUNT, 3), dtype=np.float32
                            ),
                            "area": np.int64,
                            "is_crowd": np.bool_,
                        }
                    ),
                }
            ),
            supervised_keys=("image", "label"),
            license="Apache-2.0",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {split: self._generate_examples(split) for split in self.builder_config.examples}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
        for index in range(self.builder_config.examples[split]):
            yield index, self._example(split, index)

    def _example(self, split: str, index: int) -> dict:
        config = self.builder_config
        image, objects = draw_scene(
            (config.max_objects, _SPLIT_KEYS[split], index),
            config.image_size,
            labels=[index % len(CLASS_NAMES)] if config.max_objects == 1 else None,
            max_objects=config.max_objects,
        )
        encoded = io.BytesIO()
        # Noise does not compress: the quickest level gives the same size as the best.
        Image.fromarray(image).save(encoded, "PNG", compress_level=1)
        encoded.seek(0)
        return {
            "image": encoded,
            "label": objects[0].label,
            "objects": [_record(item, config.image_size) for item in objects],
        }


def _record(item: SceneObject, size: int) -> dict:
    return {
        "bbox": tfds.features.BBox(*(edge / size for edge in item.box)),
        "label": item.label,
        "keypoints": item.keypoints / np.array([size, size, 1], np.float32),
        "area": item.area,
        "is_crowd": False,
    }
