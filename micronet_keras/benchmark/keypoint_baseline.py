"""What the paper compares with: MobileNetV3-Small and a head of inverted residual blocks."""

import keras

from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON

# (channels inside, channels out) of the blocks at strides 32, 16, 8 and 4.
_STAGES = ((1536, 256), (768, 192), (768, 128), (384, 128))


def MobileNetV3SmallKeypoints(  # noqa: N802 (a builder)
    input_shape: tuple[int, int, int] = (256, 192, 3),
    keypoints: int = len(COCO_PERSON.names),
    weights: str | None = None,
) -> keras.Model:
    """`keras.applications.MobileNetV3Small` with bilinear upsampling and inverted residual blocks.

    The baseline of the paper's comparison on keypoints, for counting and training side by side; it
    cannot be lowered (its hard sigmoid has no place in the deployable graph). The paper counts
    726.9M multiply-adds at 256 x 192; the widths of the head are ours, chosen to come near that.

    Args:
        input_shape: (height, width, 3), sides multiples of 32.
        keypoints: number of heatmaps.
        weights: of the backbone: None, "imagenet" or a file, as `keras.applications` takes it.

    Returns:
        A functional model as a `MicroNetPoseEstimator`, and with the same input.

    Raises:
        ValueError: a side is not a multiple of 32.

    Example:

    >>> MobileNetV3SmallKeypoints((64, 32, 3)).output_shape
    (None, 16, 8, 17)
    """
    if any(side is None or side % 32 for side in input_shape[:2]):
        raise ValueError(
            f"The sides of the crop must be multiples of 32. Received: input_shape={input_shape}"
        )
    image = keras.Input(input_shape, name="image")
    backbone = keras.applications.MobileNetV3Small(
        input_tensor=image,
        include_top=False,
        weights=weights,
        include_preprocessing=False,
    )
    x = backbone.output
    for stage, (inside, filters) in enumerate(_STAGES):
        if stage:
            x = keras.layers.UpSampling2D(2, interpolation="bilinear", name=f"upsample{stage}")(x)
        x = _inverted_residual(x, inside, filters, f"head{stage}")
    x = keras.layers.Conv2D(
        keypoints,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        name="heatmaps",
    )(x)
    return keras.Model(image, x, name="mobilenet_v3_small_keypoints")


def _inverted_residual(x, inside: int, filters: int, name: str):
    """1x1 expansion, 5x5 depthwise, 1x1 projection (Sandler et al., MobileNetV2)."""

    def normalized(y, part):
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"{name}_{part}_bn"
        )(y)

    y = keras.layers.Conv2D(inside, 1, use_bias=False, name=f"{name}_expand")(x)
    y = keras.layers.ReLU(6.0, name=f"{name}_expand_relu6")(normalized(y, "expand"))
    y = keras.layers.DepthwiseConv2D(5, padding="same", use_bias=False, name=f"{name}_depthwise")(y)
    y = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu6")(normalized(y, "depthwise"))
    y = keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = normalized(y, "project")
    return keras.layers.Add(name=f"{name}_add")([x, y]) if x.shape[-1] == filters else y
