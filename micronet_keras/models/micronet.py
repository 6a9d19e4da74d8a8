"""MicroNet as functional Keras models."""

import dataclasses

import keras

from micronet_keras.layers import (
    ChannelShuffle,
    MicroBlockA,
    MicroBlockB,
    MicroBlockC,
    MicroStemConv2D,
    checks,
)
from micronet_keras.models.configs import MicroNetConfig, MicroNetRow

SMALLEST_SIZE = 32


def MicroNet(  # noqa: N802 (a builder named as those of keras.applications)
    config: MicroNetConfig,
    input_shape: tuple[int | None, int | None, int] | None = None,
    include_top: bool = True,
    weights: str | None = None,
    input_tensor=None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float | None = None,
    classifier_activation: str | None = None,
    name: str | None = None,
) -> keras.Model:
    inputs = _inputs(input_shape, input_tensor)
    checks.positive_int("classes", classes)
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: {pooling=}")
    dropout_rate = config.dropout_rate if dropout_rate is None else dropout_rate
    checks.fraction("dropout_rate", dropout_rate)

    x = _features(config, inputs)
    x = keras.layers.ReLU(6.0, name="head_relu6")(x)
    if include_top:
        x = _classifier(config, x, classes, dropout_rate, classifier_activation)
    elif pooling == "avg":
        x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(x)
    elif pooling == "max":
        x = keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="max_pool")(x)
    if input_tensor is not None:
        inputs = keras.utils.get_source_inputs(input_tensor)
    return keras.Model(inputs, x, name=name or config.name)


def _inputs(input_shape, input_tensor):
    shape = (224, 224, 3) if input_shape is None else tuple(input_shape)
    if input_tensor is not None:
        shape = tuple(input_tensor.shape[1:])
    if len(shape) != 3 or any(n is not None and n < SMALLEST_SIZE for n in shape[:2]):
        raise ValueError(
            f"Images must be (height, width, channels) with sides of at least {SMALLEST_SIZE} "
            f"pixels or None. Received: input_shape={shape}"
        )
    if input_tensor is not None:
        return input_tensor
    return keras.Input(shape, name="image")


def _features(config: MicroNetConfig, x):
    x = MicroStemConv2D(config.stem_groups, name="stem")(x)
    x = ChannelShuffle(config.stem_groups[0], name="stem_shuffle")(x)
    x = keras.layers.ReLU(6.0, name="stem_relu6")(x)
    rows = _repeated(config.rows)
    squeezed = None
    for i, (row, following) in enumerate(zip(rows, rows[1:], strict=False), start=1):
        common = {
            "filters": row.filters,
            "kernel_size": row.kernel_size,
            "strides": row.strides,
            "hidden_groups": row.hidden_groups,
            "squeeze_groups": row.squeeze_groups,
            "output_groups": row.output_groups,
            "depthwise_branches": row.depthwise_branches,
            "squeeze_branches": row.squeeze_branches,
            "reduction": config.reduction * row.reduction,
            "init_a": config.init_a,
            "init_b": config.init_b,
            "name": f"block{i}",
        }
        if following.is_lite:
            x = MicroBlockA(multipliers=row.multipliers, **common)(x)
            continue
        c1, c2 = following.multipliers
        common |= {
            "expand_filters": row.filters * c1 * c2,
            "expand_groups": following.expand_groups,
            "expand_hidden_groups": following.hidden_groups,
            "expand_branches": (
                following.squeeze_branches if following.is_final else following.expand_branches
            ),
            "expand_reduction": config.reduction * following.reduction,
            "final": following.is_final,
            "return_squeezed": True,
        }
        if row.is_lite:
            x, squeezed = MicroBlockB(multipliers=row.multipliers, **common)(x)
        else:
            block = MicroBlockC(input_branches=row.expand_branches, **common)
            x, squeezed = block([x, squeezed])
    return x


def _repeated(rows: tuple[MicroNetRow, ...]) -> list[MicroNetRow]:
    flat = []
    for row in rows:
        again = dataclasses.replace(row, strides=1)
        flat += [row] + [again] * (row.repeats - 1)
    return flat


def _classifier(config, x, classes, dropout_rate, activation):
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(x)
    x = keras.layers.Activation("hard_swish", name="avg_pool_hard_swish")(x)
    x = _dense(x, config.hidden_units, "hidden")
    x = keras.layers.Dropout(dropout_rate, name="dropout")(x)
    x = _dense(x, classes, "logits")
    if activation is not None:
        x = keras.layers.Activation(activation, name="predictions")(x)
    return x


def _dense(x, units, name):
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    x = keras.layers.Dense(units, kernel_initializer=initializer, name=f"{name}_dense")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.Activation("hard_swish", name=name)(x)
