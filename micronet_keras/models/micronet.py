"""MicroNet as functional Keras models, in the style of `keras.applications`."""

import dataclasses
import inspect
import os
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import keras

from micronet_keras import checks
from micronet_keras.layers import (
    ChannelShuffle,
    MicroBlockA,
    MicroBlockB,
    MicroBlockC,
    MicroStemConv2D,
)
from micronet_keras.models.configs import CONFIGS, MicroNetConfig, MicroNetRow
from micronet_keras.models.weights import imagenet_weights, load_weights_file

SMALLEST_SIZE = 32


def MicroNet(  # noqa: N802 (named as the builders of keras.applications are)
    config: MicroNetConfig | str,
    input_shape: tuple[int | None, int | None, int] | None = None,
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor: keras.KerasTensor | None = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float | None = None,
    classifier_activation: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a MicroNet from a table of rows. `MicroNetM0` ... `MicroNetM3` are the published ones.

    | | parameters | MAdds, 224 px | ImageNet top-1 (the authors') |
    |---|---|---|---|
    | M0 | 1,019,590 | 4,054,128 | 46.6 % |
    | M1 | 1,777,587 | 6,120,032 | 51.4 % |
    | M2 | 2,393,876 | 12,743,440 | 59.4 % |
    | M3 | 2,622,960 | 20,807,520 | 62.5 % |

    Parameters are the trainable ones. MAdds are `count_madds(model).total`.

    The model takes images as `preprocess_input` makes them, float [batch, height, width, channels].
    Its classifier gives logits, which have passed batch normalization and h_swish, as the authors'
    do: use `from_logits=True`. Source: the paper, section 4, and the authors'
    `backbone/micronet.py`.

    Args:
        config: rows, stem and head: one of `CONFIGS`, its name ("m0" to "m3"), or your own.
            `MicroNetM0` ... `MicroNetM3` have theirs, and take the other arguments.
        input_shape: (height, width, channels), (224, 224, 3) unless given. Sides are at least 32 or
            None for any size.
        include_top: with the classifier. Without: the features of the last expansion after ReLU6,
            [batch, height / 32, width / 32, channels] for the published networks (rounded up).
        weights: None; a `.weights.h5` or `.keras` file; or "imagenet", the authors' checkpoint,
            which `micronet import-checkpoint` has converted.
        input_tensor: a Keras tensor to take instead of a new input, e.g. of a preprocessing layer.
        classes: of the classifier.
        pooling: without the classifier: "avg" or "max" for global pooling, [batch, channels].
        dropout_rate: within [0, 1); the config's unless given.
        classifier_activation: applied to the logits, e.g. "softmax". None leaves them.
        name: of the model; the config's unless given.

    Raises:
        ValueError: an argument is out of range.
        UserError: the weights are not at hand, damaged, or do not fit.

    Example:

    >>> model = MicroNet("m0", input_shape=(96, 96, 3), classes=10)
    >>> model.output_shape
    (None, 10)
    """
    config = _config(config)
    checks.positive_int("classes", classes)
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: {pooling=}")
    dropout_rate = config.dropout_rate if dropout_rate is None else dropout_rate
    checks.fraction("dropout_rate", dropout_rate)
    start = _input(input_shape, input_tensor)
    size = _imagenet_size(config, include_top, classes, start) if weights == "imagenet" else None

    x = keras.layers.ReLU(6.0, name="head_relu6")(_features(config, start))
    if include_top or size is not None:
        top = _classifier(config, x, classes if include_top else 1000, dropout_rate)
    inputs = start if input_tensor is None else _source(input_tensor)
    if size is not None:
        # The file holds the classifier, wanted or not; the layers are shared with the model below.
        load_weights_file(keras.Model(inputs, top, name=config.name), imagenet_weights(size))
    if include_top:
        x = top
        if classifier_activation is not None:
            x = keras.layers.Activation(classifier_activation, name="predictions")(x)
    elif pooling == "avg":
        x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(x)
    elif pooling == "max":
        x = keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="max_pool")(x)
    model = keras.Model(inputs, x, name=name or config.name)
    if weights is not None and size is None:
        load_weights_file(model, weights)
    return model


def _config(given: MicroNetConfig | str) -> MicroNetConfig:
    config = CONFIGS.get(given) if isinstance(given, str) else given
    if not isinstance(config, MicroNetConfig):
        raise ValueError(
            f"`config` must be a MicroNetConfig or one of {', '.join(CONFIGS)}. Received: {given!r}"
        )
    return config


_Options = ParamSpec("_Options")


def _published(
    build: Callable[Concatenate[MicroNetConfig, _Options], keras.Model], size: str
) -> Callable[_Options, keras.Model]:
    """`build` for one of `CONFIGS`: it takes and says all that `build` does, but for the config."""

    def published(*args: _Options.args, **kwargs: _Options.kwargs) -> keras.Model:
        return build(CONFIGS[size], *args, **kwargs)

    signature = inspect.signature(build)
    _, *options = signature.parameters.values()
    published.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    published.__name__ = published.__qualname__ = f"MicroNet{size.upper()}"
    _, _, description = (build.__doc__ or "").partition("\n\n")
    published.__doc__ = f"Builds MicroNet-{size.upper()} of the paper.\n\n{description}"
    return published


MicroNetM0 = _published(MicroNet, "m0")
MicroNetM1 = _published(MicroNet, "m1")
MicroNetM2 = _published(MicroNet, "m2")
MicroNetM3 = _published(MicroNet, "m3")


def _input(input_shape, input_tensor):
    """The tensor that the network starts from."""
    if input_tensor is not None and not isinstance(input_tensor, keras.KerasTensor):
        raise ValueError(f"`input_tensor` must be a Keras tensor. Received: {type(input_tensor)}")
    if input_tensor is not None:
        shape = tuple(input_tensor.shape[1:])
        if input_shape is not None and tuple(input_shape) != shape:
            raise ValueError(
                "`input_shape` and `input_tensor` do not agree. "
                f"Received: {input_shape=}, input_tensor.shape={input_tensor.shape}"
            )
    else:
        shape = (224, 224, 3) if input_shape is None else tuple(input_shape)
    if len(shape) != 3 or any(n is not None and n < SMALLEST_SIZE for n in shape[:2]):
        raise ValueError(
            f"Images must be (height, width, channels) with sides of at least {SMALLEST_SIZE} "
            f"pixels or None. Received: input_shape={shape}"
        )
    checks.positive_int("input_shape[2]", shape[2])
    return keras.Input(shape, name="image") if input_tensor is None else input_tensor


def _source(tensor: keras.KerasTensor):
    inputs = keras.utils.get_source_inputs(tensor)
    return inputs[0] if len(inputs) == 1 else inputs


def _imagenet_size(config, include_top, classes, start):
    """The name of the published network in `CONFIGS`; raises where its weights cannot fit."""
    sizes = [size for size, published in CONFIGS.items() if published == config]
    if not sizes:
        raise ValueError(
            "`weights='imagenet'` exists for the configs of MicroNetM0 ... MicroNetM3 only. "
            f"Received: config.name={config.name!r}"
        )
    if include_top and classes != 1000:
        raise ValueError(
            "`weights='imagenet'` with `include_top=True` needs `classes=1000`. "
            f"Received: classes={classes}"
        )
    if start.shape[-1] != 3:
        raise ValueError(
            f"`weights='imagenet'` needs RGB images. Received: {start.shape[-1]} channels"
        )
    return sizes[0]


def _features(config: MicroNetConfig, x):
    x = MicroStemConv2D(config.stem_groups, name="stem")(x)
    x = ChannelShuffle(config.stem_groups[0], name="stem_shuffle")(x)
    x = keras.layers.ReLU(6.0, name="stem_relu6")(x)
    rows = _repeated(config.rows)
    squeezed = None
    for i, (row, following) in enumerate(zip(rows, rows[1:], strict=False), start=1):
        arguments = _row_arguments(config, row) | {"name": f"block{i}"}
        if following.is_lite:
            x = MicroBlockA(multipliers=row.multipliers, **arguments)(x)
            continue
        arguments |= _expansion_arguments(config, row, following)
        if row.is_lite:
            x, squeezed = MicroBlockB(multipliers=row.multipliers, **arguments)(x)
        else:
            block = MicroBlockC(input_branches=row.expand_branches, **arguments)
            x, squeezed = block([x, squeezed])
    return x


def _repeated(rows: tuple[MicroNetRow, ...]) -> list[MicroNetRow]:
    flat = []
    for row in rows:
        flat += [row] + [dataclasses.replace(row, strides=1)] * (row.repeats - 1)
    return flat


def _row_arguments(config: MicroNetConfig, row: MicroNetRow) -> dict:
    return {
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
    }


def _expansion_arguments(config: MicroNetConfig, row: MicroNetRow, following: MicroNetRow) -> dict:
    c1, c2 = following.multipliers
    final = following.is_final
    return {
        "expand_filters": row.filters * c1 * c2,
        "expand_groups": following.expand_groups,
        "expand_hidden_groups": following.hidden_groups,
        "expand_branches": following.squeeze_branches if final else following.expand_branches,
        "expand_reduction": config.reduction * following.reduction,
        "final": final,
        "return_squeezed": True,
    }


def _classifier(config: MicroNetConfig, x, classes: int, dropout_rate: float):
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avg_pool")(x)
    x = keras.layers.Activation("hard_swish", name="avg_pool_hard_swish")(x)
    x = _dense(x, config.hidden_units, "hidden")
    x = keras.layers.Dropout(dropout_rate, name="dropout")(x)
    return _dense(x, classes, "logits")


def _dense(x, units: int, name: str):
    """Dense, batch normalization and h_swish."""
    initializer = keras.initializers.RandomNormal(stddev=0.01)
    x = keras.layers.Dense(units, kernel_initializer=initializer, name=f"{name}_dense")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.Activation("hard_swish", name=name)(x)
