"""Multiply-adds of whole models."""

import keras

from micronet_keras.layers import MAdds, layer_madds


def count_madds(model: keras.Model, input_shape: tuple[int, int, int] | None = None) -> MAdds:
    """Counts the multiply-adds of a forward pass for one image, exactly.

    Convolutions (also grouped and depthwise) and dense layers count, and DY-ShiftMax's
    multiplications apart, as the paper does. Works for other functional models, too, such as those
    of `keras.applications`: other layers of Keras are free. Parameters are counted as the paper
    does by the trainable weights, batch normalization's scale and offset included.

    Args:
        model: a functional or sequential model with one image input, channels last.
        input_shape: (height, width, channels) to count for; the model's own unless given.

    Raises:
        ValueError: the size of the images is not known.

    Example:

    >>> count_madds(micronet_keras.models.MicroNetM0())
    MAdds(conv_and_linear=3448880, dy_shift_max=605248)
    """
    shape = tuple(model.input_shape[1:]) if input_shape is None else tuple(input_shape)
    if None in shape:
        raise ValueError(
            "`input_shape` must be given for a model of any image size. "
            f"Received: input_shape={input_shape}, model.input_shape={model.input_shape}"
        )
    total = MAdds()

    def count(layer, shape, output_shape):
        nonlocal total
        if isinstance(layer, keras.Model):
            total += count_madds(layer, shape[1:])
        else:
            total += layer_madds(layer, shape, output_shape)

    def call_and_count(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        count(layer, _shape(args[0]), _shape(outputs))
        return outputs

    if isinstance(model, keras.Sequential):
        shape = (None, *shape)
        for layer in model.layers:
            output_shape = layer.compute_output_shape(shape)
            count(layer, shape, output_shape)
            shape = output_shape
    else:
        # A copy is made and thrown away: calling the model's own layers would change its graph.
        inputs = keras.Input(shape, dtype=model.inputs[0].dtype)
        keras.models.clone_model(model, input_tensors=inputs, call_function=call_and_count)
    return total


def _shape(tensors):
    if isinstance(tensors, tuple | list):
        return [tensor.shape for tensor in tensors]
    return tensors.shape
