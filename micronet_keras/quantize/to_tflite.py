"""A quantized graph as an int8 flatbuffer."""

from __future__ import annotations

import tensorflow as tf

from micronet_keras.lower.tensorflow import run
from micronet_keras.quantize.quantized_graph import QuantizedGraph
from micronet_mcu.tflite.rewrite import pack, unpack


def convert(quantized: QuantizedGraph) -> bytes:
    """Converts to TensorFlow Lite: int8 in, int8 out, builtin operations of TFLM only.

    Convolution weights are quantized per channel; dense weights per tensor, since their per-channel
    scales would cost more flash and arena than they bring accuracy.

    Args:
        quantized: what `QuantizeAwareModel.quantized_graph` or `post_training_quantize` returns.

    Returns:
        The bytes of the ``.tflite`` file. Batch size is 1; outputs are in the graph's order.

    Example:

    >>> flatbuffer = convert(quantized)
    >>> flatbuffer[4:8]
    b'TFL3'
    """
    graph = quantized.graph

    @tf.function(
        input_signature=[tf.TensorSpec((1, *graph.input.shape), tf.float32, name="image")],
        autograph=False,
    )
    def inference(image):
        return run(graph, image, quantized.ranges)

    # From a concrete function: from_keras_model takes twenty times as long for the same operations.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [inference.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    flatbuffer = converter.convert()
    return flatbuffer if len(graph.outputs) == 1 else _in_order(flatbuffer)


def _in_order(flatbuffer: bytes) -> bytes:
    """Several outputs in the order in which `inference` returns them.

    The converter shuffles them and keeps the order in its signature, which TFLM does not read.
    """
    model = unpack(flatbuffer)
    (signature,) = model.signatureDefs
    places = {output.name.decode(): output.tensorIndex for output in signature.outputs}
    model.subgraphs[0].outputs = [places[f"output_{i}"] for i in range(len(places))]
    return pack(model)
