"""Quantization-aware training in Keras 3 itself: the native engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from micronet_keras.lower.emit import TRAINED, Range, emit, with_weights
from micronet_keras.lower.graph import Graph
from micronet_keras.quantize import usual
from micronet_keras.quantize.calibrate import Calibration, with_ranges
from micronet_keras.quantize.keras_builder import KerasBuilder, RoundedRange, Weighted
from micronet_keras.quantize.quantized_graph import (
    QuantizedGraph,
    pack_graph,
    preprocess,
    unpack_graph,
)
from micronet_keras.train.loop import jit_compile


@keras.saving.register_keras_serializable("micronet_keras")
class NativeQuantizeAwareModel(keras.Model):
    """A Keras 3 model that trains with rounded weights and activations.

    Made by `quantize_aware` with ``engine="keras"``. It takes images as the lowered graph takes
    them (`preprocess` makes them of pixels) and gives what the Keras model gives. It is a model
    like any other: every optimizer, loss, metric, callback and backend, `save` and
    ``keras.saving.load_model``. It computes in float32, whatever the policy.

    Ranges follow the extremes of the batches slowly, as with tfmot; those that TFLM fixes stay.
    With replicas of TensorFlow each follows its part of the batch, and their mean is what counts.

    Args:
        graph: a lowered graph.
        ranges: what `calibrate` found for it.
        output_names: what losses and metrics may call the outputs; None leaves the layers' names.
        name: of the model.

    Example:

    >>> qat = micronet_keras.quantize_aware(model, [images], engine="keras")
    >>> qat.compile("adam", "sparse_categorical_crossentropy")
    >>> qat.save("qat.keras")
    >>> again = keras.saving.load_model("qat.keras")
    >>> again.quantized_graph().ranges == qat.quantized_graph().ranges
    True
    """

    library = keras
    # A loaded model has none, and its quantized graph no `signal_to_noise`.
    calibration: Calibration | None = None
    # Gives loss and metrics of the model that was quantized. A function, for Keras would track
    # them as parts of this model.
    usual: Callable[[], tuple[Any, Any]] = staticmethod(lambda: (None, None))
    # Whether `compile` chose the optimizer, whose rate then falls.
    decays = False

    def __init__(
        self,
        graph: Graph,
        ranges: Mapping[str, Range],
        output_names: list[str] | None = None,
        name: str | None = None,
    ):
        builder = KerasBuilder(ranges)
        outputs = emit(graph, builder)
        if graph.packed_classes is not None:
            outputs = [builder.pack(outputs, graph.packed_classes)]
        super().__init__(builder.image, outputs[0] if len(outputs) == 1 else outputs, name=name)
        if output_names is not None:
            self.output_names = list(output_names)
        self.template = graph

    def compile(self, optimizer=None, loss=None, loss_weights=None, metrics=None, **kwargs):
        """Like ``keras.Model.compile``; without arguments it takes what works.

        Args:
            optimizer: as there. None is SGD with momentum 0.9 and a learning rate of 1e-5 that
                falls to 0 along a cosine in every `fit`.
            loss: as there. None is that of the model that was quantized, with its metrics.
            loss_weights, metrics, kwargs: as there.

        Warns:
            Doubt: the learning rate is above 1e-4, which makes most models worse.

        Raises:
            UserError: neither an optimizer nor a loss is given, and the model had none.
        """
        self.decays = optimizer is None
        if loss is None:
            loss, usual_metrics = self.usual()
            metrics = usual_metrics if metrics is None else metrics
        if optimizer is None:
            usual.require_loss(loss)
            optimizer = usual.optimizer(keras)
            kwargs.setdefault("jit_compile", jit_compile())
        super().compile(optimizer, loss, loss_weights, metrics, **kwargs)
        usual.warn_of_large_rate(self.optimizer)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was when it was saved; Keras calls it. The learning rate
        stays where it was, and does not fall any more."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args, callbacks=None, **kwargs):
        """Like ``keras.Model.fit``."""
        if self.decays:
            callbacks = [*(callbacks or []), usual.decay(keras)]
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def preprocess(self, images: Any) -> Any:
        """Whole pixel values [n, height, width, channels] -> what this model takes.

        Tensors of TensorFlow stay such, for ``tf.data.Dataset.map``; all else becomes numpy.

        Raises:
            UserError: they are no pixels, as what `preprocess_input` returns.
        """
        prepared = preprocess(self.template, images)
        return prepared if tf.is_tensor(images) else prepared.numpy()

    def quantized_graph(self, class_names: Iterable[str] = ()) -> QuantizedGraph:
        """The graph with the weights and ranges as trained so far, ready for conversion."""
        trained = {layer.tensor: layer for layer in self.layers if isinstance(layer, Weighted)}
        graph = with_weights(self.template, lambda name: trained[name].weights_now())
        return with_ranges(graph, self._ranges(), class_names, self.calibration)

    def _ranges(self) -> dict[str, Range]:
        return {
            layer.tensor: layer.range()
            for layer in self.layers
            if isinstance(layer, RoundedRange) and layer.follow
        }

    def get_config(self) -> dict[str, Any]:
        """The graph without its weights, which Keras saves beside it."""
        arrays: dict[str, np.ndarray] = {}
        graph = pack_graph(self.template, arrays)
        trained = {
            node[field]["array"] for node in graph["nodes"] for field in TRAINED if field in node
        }
        return {
            "name": self.name,
            "graph": graph,
            "shapes": {key: list(arrays[key].shape) for key in trained},
            "arrays": {key: arrays[key].tolist() for key in arrays.keys() - trained},
            "ranges": {key: list(ends) for key, ends in self._ranges().items()},
            "output_names": list(self.output_names),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arrays = {key: np.zeros(shape) for key, shape in config["shapes"].items()}
        arrays |= {key: np.array(values) for key, values in config["arrays"].items()}
        graph = unpack_graph(config["graph"], arrays)
        ranges = {key: tuple(ends) for key, ends in config["ranges"].items()}
        return cls(graph, ranges, config["output_names"], config["name"])
