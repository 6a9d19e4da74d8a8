"""A quantized graph as an int8 flatbuffer."""

from __future__ import annotations

import os

import tensorflow as tf

from micronet_keras.lower.emit import joined_ranges, scope_names
from micronet_keras.lower.tensorflow import run, scope_text
from micronet_keras.quantize.keras_qat import NativeQuantizeAwareModel
from micronet_keras.quantize.qat import QuantizeAwareModel
from micronet_keras.quantize.quantized_graph import QuantizedGraph, as_quantized
from micronet_mcu.image_input import PIXELS, VALUES
from micronet_mcu.tflite.rewrite import ModelT, pack, unpack


def convert(
    quantized: QuantizedGraph | QuantizeAwareModel | NativeQuantizeAwareModel | str | os.PathLike,
) -> bytes:
    """Converts to TensorFlow Lite: int8 in, int8 out, builtin operations of TFLM only.

    Convolution weights are quantized per channel; dense weights per tensor, since their per-channel
    scales would cost more flash and arena than they bring accuracy.

    Args:
        quantized: what `post_training_quantize` or `quantize_aware` returns, or the ``.npz`` file
            that `QuantizedGraph.save` wrote.

    Returns:
        The bytes of the ``.tflite`` file. Batch size is 1; outputs are in the graph's order. The
        input's name says what it means, see `micronet_mcu.image_input.ImageInput`.

    Raises:
        UserError: it is not quantized, as a Keras model, or there is no such file.

    Example:

    >>> flatbuffer = convert(quantized)
    >>> flatbuffer[4:8]
    b'TFL3'
    """
    quantized = as_quantized(quantized)
    graph = quantized.graph
    takes_pixels = graph.input.pixel_scale is not None
    ranges = joined_ranges(graph, quantized.ranges)

    @tf.function(
        input_signature=[tf.TensorSpec((1, *graph.input.shape), tf.float32, name="image")],
        autograph=False,
    )
    def inference(image):
        return run(graph, image, ranges)

    # From a concrete function: from_keras_model takes twenty times as long for the same operations.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [inference.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    model = unpack(converter.convert())
    (image,) = model.subgraphs[0].inputs
    model.subgraphs[0].tensors[image].name = PIXELS if takes_pixels else VALUES
    _name_layers(model, [name for node in graph for name in scope_names(node)])
    if len(graph.outputs) > 1:
        _order_outputs(model)
    return pack(model)


def _name_layers(model: ModelT, scopes: list[str]) -> None:
    """Names the output of every operator after its layer, and weights and biases likewise.

    The converter writes the names of the operations that it made one of, as
    "block1/expand/Relu6;block1/expand/add;block1/expand/Conv2D": the layer is what they begin with.
    """
    layers = {scope_text(name): name for name in scopes}
    tensors = model.subgraphs[0].tensors
    given = set()

    def layer_of(text: str) -> str | None:
        parts = text.split("/")
        begins = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((layers[begin] for begin in begins if begin in layers), None)

    for operator in model.subgraphs[0].operators:
        output = tensors[operator.outputs[0]]
        operations = output.name.decode().split(";")
        layer = next(filter(None, map(layer_of, operations)), None)
        if layer is None:
            continue
        # Behind a layer's own tensor there may be others, as of the RESHAPE of a dense layer.
        name = layer if layer not in given else f"{layer}/{operations[0].split('/')[-1]}"
        given.add(layer)
        output.name = name.encode()
        for place, what in ((1, "weights"), (2, "bias")):
            if len(operator.inputs) > 2 and operator.inputs[place] >= 0:
                tensors[operator.inputs[place]].name = f"{name}/{what}".encode()


def _order_outputs(model: ModelT) -> None:
    """Several outputs in the order in which `inference` returns them.

    The converter shuffles them and keeps the order in its signature, which TFLM does not read.
    """
    (signature,) = model.signatureDefs
    places = {output.name.decode(): output.tensorIndex for output in signature.outputs}
    model.subgraphs[0].outputs = [places[f"output_{i}"] for i in range(len(places))]
