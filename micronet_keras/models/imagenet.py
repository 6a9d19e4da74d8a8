"""Images in, class names out: the ImageNet ends of a model."""

import keras
import numpy as np
from keras import ops

from micronet_keras import checks
from micronet_mcu.errors import UserError

# Mean and standard deviation of ImageNet's RGB values / 255, as the authors normalise.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def preprocess_input(x):
    """Normalises pixels as the authors do: (x / 255 - mean) / std, per channel.

    Args:
        x: pixels 0..255 in RGB, any integer or float dtype, [..., 3]; a numpy array or a tensor of
            the backend. (In a `tf.data` pipeline use it on the TensorFlow backend, or after the
            pipeline.)

    Returns:
        The same shape: a float array of numpy for numpy, else a tensor; float32 unless `x` is
            float.

    Raises:
        ValueError: the last axis is not 3 long.

    Example:

    >>> preprocess_input(np.zeros((1, 96, 96, 3), "uint8")).dtype
    dtype('float32')
    """
    if not hasattr(x, "shape") or len(x.shape) == 0 or x.shape[-1] != 3:
        raise ValueError(
            f"Images must have 3 channels on the last axis. Received: {getattr(x, 'shape', x)}"
        )
    scale = tuple(1 / (255 * std) for std in STD)
    offset = tuple(mean / std for mean, std in zip(MEAN, STD, strict=True))
    if isinstance(x, np.ndarray):
        dtype = x.dtype if np.issubdtype(x.dtype, np.floating) else np.dtype("float32")
        return x.astype(dtype) * np.asarray(scale, dtype) - np.asarray(offset, dtype)
    dtype = keras.backend.standardize_dtype(x.dtype)
    dtype = dtype if "float" in dtype else "float32"
    x = ops.cast(x, dtype)
    return x * ops.convert_to_tensor(scale, dtype) - ops.convert_to_tensor(offset, dtype)


def decode_predictions(
    preds, top: int = 5, class_names: list[str] | None = None
) -> list[list[tuple[str, str, float]]]:
    """Names the best classes of every image.

    Args:
        preds: scores [batch, classes], logits or probabilities: a numpy array or a tensor.
        top: how many classes to name, at least 1; all of them where there are fewer.
        class_names: the names in the order of the classes. Without them the classes are ImageNet's
            1000, whose names Keras keeps in its cache folder.

    Returns:
        For every image a list of (id, name, score), the best first. The id is WordNet's for
        ImageNet, else the number of the class as text.

    Raises:
        ValueError: `preds` is not [batch, classes], or the number of names is another.
        UserError: the names of ImageNet's classes are not at hand.

    Example:

    >>> decode_predictions(np.array([[0.1, 0.7, 0.2]]), top=1, class_names=["ring", "star", "box"])
    [[('1', 'star', 0.7)]]
    """
    preds = ops.convert_to_numpy(preds)
    checks.positive_int("top", top)
    classes = 1000 if class_names is None else len(class_names)
    if preds.ndim != 2 or preds.shape[1] != classes:
        raise ValueError(f"`preds` must be [batch, {classes}]. Received: shape={preds.shape}")
    if class_names is None:
        return _imagenet_predictions(preds, top)
    decoded = []
    for scores in preds:
        best = np.argsort(-scores, kind="stable")[:top]
        decoded.append([(str(i), class_names[i], float(scores[i])) for i in best])
    return decoded


def _imagenet_predictions(preds, top):
    try:
        decoded = keras.applications.imagenet_utils.decode_predictions(preds, top)
    except Exception as error:  # Keras raises a bare Exception when it cannot fetch the file.
        raise UserError(
            "the names of ImageNet's classes could not be fetched: put imagenet_class_index.json "
            "into Keras' cache folder (~/.keras/models) or pass class_names"
        ) from error
    return [[(wnid, name, float(score)) for wnid, name, score in image] for image in decoded]
