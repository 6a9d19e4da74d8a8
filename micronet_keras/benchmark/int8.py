"""A trained network of a suite in int8: this package's way, or TensorFlow Lite's where it fails."""

import keras
import numpy as np
import tensorflow as tf

from micronet_keras import data
from micronet_keras.lower import lower
from micronet_keras.lower.folding import PIXEL_SCALE, PIXEL_ZERO
from micronet_keras.models.imagenet import MEAN, STD
from micronet_keras.quantize import post_training_quantize
from micronet_keras.quantize.quantize import calibration_images
from micronet_keras.quantize.to_tflite import convert
from micronet_keras.tasks import CLASSIFICATION, ClassificationConfig
from micronet_mcu.errors import UserError


def int8_flatbuffer(
    model: keras.Model, source: data.Source, recipe: ClassificationConfig, images: int = 512
) -> tuple[bytes, str]:
    """Quantizes after training, with ranges from training images.

    A MicroNet is lowered by this package. Other networks go through TensorFlow Lite's converter, at
    the same number of bits: weights per channel, those of dense layers per tensor.

    Args:
        model: a trained classifier that takes what `preprocess_input` returns.
        source: the dataset that it was trained on, with the recipe's splits.
        recipe: that of the training.
        images: how many give the ranges.

    Returns:
        The flatbuffer, which takes `pixel - 128`, and "lowered" or "converted".

    Raises:
        UserError: the network can be quantized in neither way.
    """
    pixels = calibration_images(CLASSIFICATION, source, recipe, images)
    try:
        graph = lower(model)
    except ValueError:
        return _converted(takes_pixels(model), np.concatenate(pixels)), "converted"
    return convert(post_training_quantize(graph, pixels, source.class_names)), "lowered"


def takes_pixels(model: keras.Model) -> keras.Model:
    """A copy of a classifier that takes (pixel - `PIXEL_ZERO`) * `PIXEL_SCALE` for every colour.

    The rest of `preprocess_input` goes into the first convolution, so that no network of a suite
    pays for it: `lower` does the same with a MicroNet. Exact but for the padding of that
    convolution, which stands for grey instead of the three channels' means.

    Raises:
        UserError: the first convolution has a bias or no batch normalization behind it.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    first, behind = _stem(copy)
    gain = 1 / (255 * PIXEL_SCALE) / np.asarray(STD)
    offset = (PIXEL_ZERO / 255 - np.asarray(MEAN)) / np.asarray(STD)
    kernel = keras.ops.convert_to_numpy(first.kernel).astype(np.float64)
    mean = keras.ops.convert_to_numpy(behind.moving_mean)
    first.kernel.assign(kernel * gain[:, None])
    behind.moving_mean.assign(mean - np.einsum("hwio,i->o", kernel, offset))
    return copy


def _stem(model: keras.Model) -> tuple[keras.layers.Conv2D, keras.layers.BatchNormalization]:
    """The first convolution and the batch normalization that reads it."""
    for first in model.layers:
        if isinstance(first, keras.layers.Conv2D):
            for layer in model.layers:
                reads = getattr(layer, "input", None) is first.output
                normalizes = isinstance(layer, keras.layers.BatchNormalization)
                if reads and normalizes and not first.use_bias:
                    return first, layer
            break
    raise UserError(
        f"{model.name} must begin with a convolution without bias and a batch normalization"
    )


def _converted(model: keras.Model, pixels: np.ndarray) -> bytes:
    """The int8 flatbuffer of a model made by `takes_pixels`; pixels uint8 [n, height, width, 3]."""
    pixels = pixels.astype(np.float32)
    # The whole range of pixels is in the images, so that the int8 input is exactly pixel - 128.
    pixels[0, 0, :2, :] = [[0], [255]]

    def examples():
        for image in pixels:
            yield [((image - PIXEL_ZERO) * PIXEL_SCALE)[None]]

    # Weights as arguments become constants: the converter cannot calibrate with Keras' variables.
    trained = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    other = [keras.ops.convert_to_numpy(v) for v in model.non_trainable_variables]

    @tf.function(
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="image")],
        autograph=False,
    )
    def inference(image):
        return model.stateless_call(trained, other, image, training=False)[0]

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [inference.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    try:
        return converter.convert()
    except Exception as error:  # Of every kind, with pages of text.
        raise UserError(f"{model.name} cannot be converted: {str(error)[:200]}") from error
