"""Quantization-aware training, by one of two engines.

tfmot works on Keras 2 alone, so the lowered graph is built once more from tf_keras layers, and that
model is fine-tuned. The native engine (`keras_qat`) builds it in Keras 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from micronet_keras.lower import lower
from micronet_keras.lower.emit import emit, with_weights
from micronet_keras.lower.graph import Graph
from micronet_keras.quantize import to_tf_keras, usual
from micronet_keras.quantize.calibrate import Calibration, look_at, with_ranges
from micronet_keras.quantize.keras_qat import NativeQuantizeAwareModel
from micronet_keras.quantize.legacy_keras import tf_keras
from micronet_keras.quantize.quantized_graph import QuantizedGraph, preprocess
from micronet_keras.quantize.tf_keras_builder import TfKerasBuilder
from micronet_mcu.errors import UserError
from micronet_settings.quantization import ENGINES


class QuantizeAwareModel(tf_keras.Model):
    """A tf_keras model that trains with rounded weights and activations.

    Made by `quantize_aware` with ``engine="tfmot"``. It takes images as the lowered graph takes
    them (`preprocess` makes them of pixels), gives what the Keras model gives, and is compiled and
    fitted like any Keras model. Optimizer, loss and metrics may be names or objects of either
    Keras; those of Keras 3 that tf_keras has, too, work on every backend, others on the TensorFlow
    backend.

    It is kept by `quantized_graph` and ``QuantizedGraph.save``; `save_weights` and `load_weights`
    keep an unfinished training.

    Args:
        template: the lowered graph.
        builder: what has built it, with the range quantizers and trained variables by name.
        outputs: the tensors that the model gives.
        output_names: what losses and metrics may call them; None leaves the layers' names.
    """

    library = tf_keras
    calibration: Calibration | None = None
    # Gives loss and metrics of the model that was quantized. A function, for Keras would track
    # them as parts of this model.
    usual: Callable[[], tuple[Any, Any]] = staticmethod(lambda: (None, None))
    # Whether `compile` chose the optimizer, whose rate then falls.
    decays = False

    def __init__(
        self,
        template: Graph,
        builder: TfKerasBuilder,
        outputs: list[tf.Tensor],
        output_names: list[str] | None = None,
    ):
        super().__init__(builder.image, outputs[0] if len(outputs) == 1 else outputs)
        if output_names is not None:
            self.output_names = output_names
        self.template = template
        self.range_quantizers = builder.range_quantizers
        self.trained = builder.trained

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        *,
        metrics: Any = None,
        weighted_metrics: Any = None,
        loss_weights: Any = None,
        **kwargs: Any,
    ) -> None:
        """Like ``keras.Model.compile``; without arguments it takes what works.

        Args:
            optimizer: as there. None is SGD with momentum 0.9 and a learning rate of 1e-5 that
                falls to 0 along a cosine in every `fit`.
            loss: as there. None is that of the model that was quantized, with its metrics.
            metrics, weighted_metrics, loss_weights, kwargs: as there, and by name, for the two
                Keras order them differently.

        Warns:
            Doubt: the learning rate is above 1e-4, which makes most models worse.

        Raises:
            UserError: neither an optimizer nor a loss is given, and the model had none.
            ValueError: something of Keras 3 that neither has an equal in tf_keras nor can be called
                by it, or a name that neither Keras knows.
        """
        kwargs.setdefault("jit_compile", False)
        self.decays = optimizer is None
        if loss is None:
            loss, usual_metrics = self.usual()
            metrics = usual_metrics if metrics is None else metrics
        if optimizer is None:
            usual.require_loss(loss)
            optimizer = usual.optimizer(tf_keras)
        super().compile(
            to_tf_keras.optimizer(optimizer),
            to_tf_keras.losses(loss),
            metrics=to_tf_keras.metrics(metrics),
            weighted_metrics=to_tf_keras.metrics(weighted_metrics),
            loss_weights=loss_weights,
            **kwargs,
        )
        usual.warn_of_large_rate(self.optimizer)

    def fit(self, *args, callbacks=None, **kwargs):
        """Like ``keras.Model.fit``.

        Raises:
            ValueError: a Keras 3 callback; tf_keras cannot call it.
        """
        callbacks = list(callbacks or [])
        foreign = [type(c).__name__ for c in callbacks if isinstance(c, keras.callbacks.Callback)]
        if foreign:
            raise ValueError(f"Callbacks must be of tf_keras.callbacks. Received: {foreign}")
        if self.decays:
            callbacks.append(usual.decay(tf_keras))
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def save(self, filepath, *args, **kwargs):
        """Refused: a loaded copy could not be converted.

        Raises:
            UserError: always; it says what to use.
        """
        raise UserError(
            f"{filepath}: a quantization-aware model is not saved whole; "
            "quantized_graph().save('model.npz') keeps the result, "
            "save_weights('qat.weights.h5') an unfinished training"
        )

    def preprocess(self, images) -> tf.Tensor:
        """Whole pixel values [n, height, width, 3] -> what this model takes.

        Raises:
            UserError: they are no pixels, as what `preprocess_input` returns.
        """
        return preprocess(self.template, images)

    def quantized_graph(self, class_names: Iterable[str] = ()) -> QuantizedGraph:
        """The graph with the weights and ranges as trained so far, ready for conversion.

        Warns:
            Doubt: as `micronet_keras.quantize.post_training_quantize`.
        """
        graph = with_weights(
            self.template, lambda name: tuple(value.numpy() for value in self.trained[name])
        )
        ranges = {name: quantizer.range() for name, quantizer in self.range_quantizers.items()}
        return with_ranges(graph, ranges, class_names, self.calibration)


def quantize_aware(
    model: keras.Model | Graph, calibration: Any, engine: str = "tfmot"
) -> QuantizeAwareModel | NativeQuantizeAwareModel:
    """Builds the model that is fine-tuned before conversion.

    Args:
        model: a trained Keras model that takes what `preprocess_input` returns, or a lowered graph.
        calibration: images as `calibrate` takes them: the ranges that training starts with.
            Without them the first hundreds of steps would be clipped (tfmot starts at -6 .. 6).
        engine: "tfmot" gives a model of tf_keras in tfmot's wrappers, trained in TensorFlow;
            "keras" one of Keras 3, trained on any backend by Keras' own `compile` and `fit`, saved
            and loaded as ``.keras``. The same weights and ranges become the same int8 graph.

    Returns:
        A model with the outputs of `model`. A detector's are packed for its loss as there; the
        quantized graph has them apart.

    Raises:
        UserError: a detector with tfmot, and Keras runs on another backend than TensorFlow.
        ValueError: as `micronet_keras.lower.lower` and `calibrate`; or there is no such engine.

    Example:

    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("adam", loss, metrics=["accuracy"])
    >>> qat = quantize_aware(model, calibration=[images], engine="keras")
    >>> qat.compile()  # the model's loss, SGD at 1e-5
    >>> history = qat.fit(qat.preprocess(images), labels, verbose=0)
    >>> quantized = qat.quantized_graph()
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {ENGINES}. Received: {engine!r}")
    graph = model if isinstance(model, Graph) else lower(model)
    names = None if isinstance(model, Graph) else model.output_names
    tensorflow = keras.backend.backend() == "tensorflow"
    if engine == "tfmot" and graph.packed_classes is not None and not tensorflow:
        raise UserError(
            "quantization-aware training of a detector by tfmot needs Keras' TensorFlow backend; "
            'set KERAS_BACKEND=tensorflow, take engine="keras", or quantize without training'
        )
    seen = look_at(graph, calibration)
    qat: QuantizeAwareModel | NativeQuantizeAwareModel
    if engine == "keras":
        qat = NativeQuantizeAwareModel(graph, seen.ranges, names)
    else:
        builder = TfKerasBuilder(seen.ranges)
        outputs = emit(graph, builder)
        if graph.packed_classes is not None:
            outputs = [builder.pack(outputs, graph.packed_classes)]
        qat = QuantizeAwareModel(graph, builder, outputs, names)
    qat.calibration = seen
    loss_and_metrics = usual.loss_and_metrics(model)
    qat.usual = lambda: loss_and_metrics
    return qat
