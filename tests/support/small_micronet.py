"""A MicroNet of four rows on 32 x 32 pixels with every kind of block, for tests that need one."""

import keras
import numpy as np

from micronet_keras.models import MicroNet, MicroNetConfig, MicroNetRow

SIZE = 32
CLASSES = 4


def row(strides, filters, kernel_size, multipliers, groups, branches):
    expand, hidden, squeeze, output = groups
    return MicroNetRow(
        strides=strides,
        repeats=1,
        filters=filters,
        kernel_size=kernel_size,
        multipliers=multipliers,
        expand_groups=expand,
        hidden_groups=hidden,
        squeeze_groups=squeeze,
        output_groups=output,
        expand_branches=branches[0],
        depthwise_branches=branches[1],
        squeeze_branches=branches[2],
        reduction=1,
    )


CONFIG = MicroNetConfig(
    name="small",
    rows=(
        row(2, 8, 3, (2, 2), (0, 4, 2, 2), (2, 0, 1)),
        row(2, 12, 5, (2, 2), (0, 8, 4, 4), (2, 2, 0)),
        row(1, 12, 3, (1, 4), (4, 4, 4, 4), (2, 2, 1)),
        row(1, 48, 3, (1, 4), (4, 4, 0, 0), (2, 2, 1)),
    ),
    stem_groups=(2, 2),
    hidden_units=16,
    dropout_rate=0.1,
)


def randomized(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with batch norms and DY-ShiftMax coefficients that do something."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        path, shape = variable.path, variable.shape
        if path.endswith(("gamma", "moving_variance")):
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif path.endswith(("beta", "moving_mean", "bias")):
            variable.assign(random.standard_normal(shape) * 0.2)
        elif "coefficients" in path or "dense" in path:
            variable.assign(random.standard_normal(shape) * np.sqrt(2 / shape[0]))
    return model


def small_micronet(size: int = SIZE, classes: int = CLASSES, **options) -> keras.Model:
    """The model with weights that are random but always the same."""
    keras.utils.set_random_seed(7)
    return randomized(MicroNet(CONFIG, (size, size, 3), classes=classes, **options))


def images(count: int = 4, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Noise with blots of colour, uint8 [count, size, size, 3]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, size // 8, size // 8, 3))
    fine = random.integers(-40, 40, (count, size, size, 3))
    return np.clip(coarse.repeat(8, 1).repeat(8, 2) + fine, 0, 255).astype(np.uint8)
