"""The model of quantization-aware training as a Keras model: compile, fit, save, and detectors."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras
from optional import require
from paths import ROOT
from small_cnn import small_cnn
from small_micronet import CLASSES, images, randomized, small_micronet
from stick_figures import tiny_backbone

from micronet_keras import convert, post_training_quantize, quantize_aware
from micronet_keras.losses import DetectionLoss, HeatmapLoss, SmoothedCrossentropy
from micronet_keras.lower import lower
from micronet_keras.metrics import BestMatch, KeypointAccuracy
from micronet_keras.models import (
    MicroNetObjectDetector,
    MicroNetPoseEstimator,
    PoseHead,
    preprocess_input,
)
from micronet_mcu.decode import Int8Decoder
from micronet_mcu.errors import UserError
from micronet_mcu.to_tflm import Interpreter

LABELS = np.arange(4) % CLASSES
WEIGHTS = np.array([0.0, 1.0, 2.0, 0.5], "float32")
OBJECTS = np.array([[[8, 4, 40, 50, 1], [0, 0, 0, 0, -1]]] * 4, "float32")


@pytest.fixture(scope="module")
def model():
    return small_cnn()


@pytest.fixture(scope="module")
def graph(model):
    return lower(model)


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)
    return randomized(MicroNetObjectDetector(tiny_backbone(), 2, width=16, blocks=0))


def test_keras_3_objects_are_translated(graph):
    qat = quantize_aware(graph, [images(4, size=16)])
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    qat.compile(
        keras.optimizers.SGD(schedule, momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("right"), "accuracy"],
    )
    assert isinstance(qat.optimizer, tf_keras.optimizers.SGD)
    assert isinstance(qat.loss, tf_keras.losses.SparseCategoricalCrossentropy)
    assert qat.optimizer.momentum == 0.5
    assert np.isclose(qat.optimizer.learning_rate.numpy(), 0.1)
    before = [kernel.numpy() for kernel, _ in qat.trained.values()]
    history = qat.fit(qat.preprocess(images(4, size=16)), LABELS, epochs=1, verbose=0).history
    assert {"loss", "right", "accuracy"} <= set(history)
    assert any(
        (a != b.numpy()).any() for a, (b, _) in zip(before, qat.trained.values(), strict=True)
    )


def test_what_cannot_be_translated_is_refused(graph):
    qat = quantize_aware(graph, [images(4, size=16)])
    with pytest.raises(ValueError, match="class of this name. Received: 'Muon'"):
        qat.compile(keras.optimizers.Muon(0.1))
    with pytest.raises(ValueError, match="cannot do all of this. Received:.*gradient_accumulation"):
        qat.compile(keras.optimizers.SGD(gradient_accumulation_steps=4))
    with pytest.raises(TypeError, match="positional"):
        qat.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    qat.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="tf_keras.callbacks. Received: .'CSVLogger'"):
        qat.fit(callbacks=[keras.callbacks.CSVLogger("x")])


@pytest.mark.slow
@pytest.mark.parametrize(
    "metrics",
    [
        "accuracy",
        keras.metrics.SparseCategoricalAccuracy("accuracy"),
        ["accuracy"],
        ("accuracy",),
        [keras.metrics.sparse_categorical_accuracy],
        keras.metrics.MeanMetricWrapper(keras.metrics.sparse_categorical_accuracy, "accuracy"),
        {"logits": "accuracy"},
        {"logits": [keras.metrics.SparseCategoricalAccuracy("accuracy")]},
    ],
    ids=["name", "object", "list", "tuple", "function", "wrapper", "by output", "lists by output"],
)
def test_metrics_are_given_as_to_keras(model, metrics):
    qat = quantize_aware(model, [images(4, size=16)])
    qat.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
    right = np.argmax(qat.predict(qat.preprocess(images(4, size=16)), verbose=0), axis=-1)
    wrong = np.where(np.arange(4) == 0, (right + 1) % CLASSES, right)
    data = qat.preprocess(images(4, size=16)), wrong
    found = qat.evaluate(*data, batch_size=2, verbose=0, return_dict=True)
    (name,) = set(found) - {"loss"}
    assert name.endswith("accuracy") and found[name] == 0.75
    history = qat.fit(*data, validation_data=data, verbose=0).history
    assert set(history) == {"loss", name, "val_loss", f"val_{name}"}


def test_weighted_metrics_are_given_as_to_keras(model):
    qat = quantize_aware(model, [images(4, size=16)])
    metric = keras.metrics.SparseCategoricalAccuracy("right")
    qat.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=metric)
    x = qat.preprocess(images(4, size=16))
    labels = np.argmax(qat.predict(x, verbose=0), axis=-1)
    labels[2] = (labels[2] + 1) % CLASSES
    found = qat.evaluate(x, labels, 2, 0, WEIGHTS, return_dict=True)
    assert found["right"] == pytest.approx(1.5 / 3.5)


@pytest.mark.slow
def test_names_that_only_keras_3_knows(graph):
    qat = quantize_aware(graph, [images(4, size=16)])
    qat.compile("sgd", "dice", metrics="pearson_correlation")
    x, y = qat.preprocess(images(4, size=16)), np.eye(CLASSES, dtype="f4")[LABELS]
    outputs = qat.predict(x, verbose=0)
    found = qat.evaluate(x, y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(float(np.mean(keras.losses.dice(y, outputs))), rel=1e-5)
    wanted = np.mean(keras.metrics.get("pearson_correlation")(y, outputs))
    assert found["pearson_correlation"] == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("kind", ["loss", "metrics"])
def test_names_that_no_keras_knows_are_refused_at_once(graph, kind):
    qat = quantize_aware(graph, [images(4, size=16)])
    with pytest.raises(ValueError, match="^Neither Keras 3 nor tf_keras .* Received: 'nonsense'$"):
        qat.compile("sgd", **{kind: "nonsense"})


def test_metrics_of_an_output_that_is_not_there_are_named(model):
    qat = quantize_aware(model, [images(4, size=16)])
    qat.compile("sgd", "sparse_categorical_crossentropy", metrics={"softmax": "accuracy"})
    with pytest.raises(ValueError, match="'softmax'.*'logits'"):
        qat.evaluate(qat.preprocess(images(4, size=16)), LABELS, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        SmoothedCrossentropy(0.2),
        keras.losses.MeanAbsoluteError(),
        keras.losses.mean_squared_error,
    ],
    ids=lambda loss: getattr(loss, "name", "function"),
)
def test_losses_of_keras_3_are_what_they_are_there(graph, loss):
    """With weights, too: each example's own, not those of a mean."""
    qat = quantize_aware(graph, [images(4, size=16)])
    qat.compile("sgd", loss)
    y = LABELS if "entropy" in getattr(loss, "name", "") else np.eye(CLASSES, dtype="f4")[LABELS]
    x = qat.preprocess(images(4, size=16))
    logits = qat.predict(x, verbose=0)
    for weights in (None, WEIGHTS):
        if isinstance(loss, keras.losses.Loss):
            wanted = float(loss(y, logits, weights))
        else:
            wanted = float(np.mean(loss(y, logits) * (1 if weights is None else weights)))
        found = qat.evaluate(x, y, sample_weight=weights, verbose=0)
        assert found == pytest.approx(wanted, rel=1e-5)


# Prints what happens to losses on the backend that is chosen by the environment.
ON_ANOTHER_BACKEND = """
import sys
sys.path.insert(0, "tests/support")
import keras
import numpy as np
from small_cnn import small_cnn
from small_micronet import images
from stick_figures import tiny_backbone
from micronet_keras import MicroNetObjectDetector, post_training_quantize, quantize_aware
from micronet_keras.losses import SmoothedCrossentropy

qat = quantize_aware(small_cnn(), [images(4, size=16)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
qat.compile(keras.optimizers.SGD(0.01), loss, metrics=[keras.metrics.SparseCategoricalAccuracy()])
x, labels = qat.preprocess(images(4, size=16)), np.arange(4)
wanted = float(loss(labels, qat.predict(x, verbose=0)))
print(keras.backend.backend(), abs(qat.evaluate(x, labels, verbose=0)[0] - wanted) < 1e-5)
detector = MicroNetObjectDetector(tiny_backbone((32, 32, 3)), 2, width=8, blocks=0)
print(len(post_training_quantize(detector, [images(2)]).graph.outputs))
qat.compile("sgd", "sparse_categorical_crossentropy", metrics="accuracy")
for attempt in (lambda: qat.compile("sgd", SmoothedCrossentropy()),
                lambda: qat.compile("sgd", keras.losses.dice),
                lambda: qat.compile("sgd", "circle"),
                lambda: quantize_aware(detector, [images(2)])):
    try:
        attempt()
    except ValueError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_losses_on_another_backend():
    require("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", ON_ANOTHER_BACKEND],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    built_in, outputs, *losses, of_detectors = done.stdout.splitlines()[-6:]
    assert built_in == "jax True" and outputs == "4"
    for line, loss in zip(losses, ("SmoothedCrossentropy", "dice", "circle"), strict=True):
        assert line.startswith("ValueError") and loss in line and line.endswith("Received: jax")
    assert of_detectors.startswith("UserError") and "KERAS_BACKEND=tensorflow" in of_detectors


@pytest.mark.slow
def test_weights_and_ranges_are_saved(tmp_path):
    graph = lower(small_micronet())
    qat = quantize_aware(graph, [images(4)])
    qat.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    qat.fit(qat.preprocess(images(4)), LABELS, verbose=0)
    other, ours = quantize_aware(graph, [images(4, seed=8)]), qat.quantized_graph()
    untrained = [variable.numpy() for variable in other.variables]
    for file in ("qat.weights.h5", "checkpoint"):
        qat.save_weights(tmp_path / file)
        for variable, value in zip(other.variables, untrained, strict=True):
            variable.assign(value)
        assert other.quantized_graph().ranges != ours.ranges
        other.load_weights(tmp_path / file)
        theirs = other.quantized_graph()
        assert ours.ranges == theirs.ranges
        for one, two in zip(ours.graph, theirs.graph, strict=True):
            for name, value in vars(one).items():
                np.testing.assert_array_equal(getattr(two, name), value)


def test_saving_it_whole_says_what_to_use(graph, tmp_path):
    qat = quantize_aware(graph, [images(4, size=16)])
    with pytest.raises(UserError, match=r"x.h5: .*quantized_graph\(\).save.*save_weights"):
        qat.save(tmp_path / "x.h5")
    checkpoint = tf_keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"))
    qat.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(UserError, match="not saved whole"):
        qat.fit(qat.preprocess(images(4, size=16)), LABELS, verbose=0, callbacks=[checkpoint])


@pytest.mark.slow
def test_a_detector_trains_and_becomes_int8(detector):
    pixels = images(4, size=64)
    qat = quantize_aware(detector, [pixels])
    assert qat.output_shape == detector.output_shape
    packed = qat.predict(qat.preprocess(pixels), verbose=0)
    ours = keras.ops.convert_to_numpy(detector(preprocess_input(pixels)))
    assert np.abs(packed - ours).max() < 0.1 * np.abs(ours).max()

    loss = DetectionLoss(detector.coder)
    qat.compile(keras.optimizers.SGD(1e-3), loss, metrics=[BestMatch(detector.coder)])
    started = qat.evaluate(qat.preprocess(pixels), OBJECTS, verbose=0, return_dict=True)
    assert started["loss"] == pytest.approx(float(loss(OBJECTS, packed)), rel=1e-4)
    metric = BestMatch(detector.coder)
    metric.update_state(OBJECTS, packed)
    assert started["best_match"] == pytest.approx(float(metric.result()), rel=1e-4)
    history = qat.fit(qat.preprocess(pixels), OBJECTS, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]

    # Apart again, and in the order of the levels.
    interpreter = Interpreter(convert(qat.quantized_graph(["a", "b"])))
    assert [tuple(tensor.shape) for tensor in interpreter.outputs] == [
        (1, *tensor.shape[1:]) for tensor in detector.raw_outputs
    ]
    assert Int8Decoder(interpreter.outputs, (64, 64)).classes == 2


@pytest.mark.slow
def test_a_detector_is_int8_without_training(detector):
    pixels = images(4, size=64)
    interpreter = Interpreter(convert(post_training_quantize(detector, [pixels])))
    raw = keras.Model(detector.input, list(detector.raw_outputs))(preprocess_input(pixels))
    found = [interpreter.invoke_all(image) for image in interpreter.quantize(pixels)[:, None]]
    for tensor, wanted, *answers in zip(interpreter.outputs, raw, *found, strict=True):
        stored = np.concatenate(answers).astype(float)
        real = (stored - tensor.zero_point[0]) * tensor.scale[0]
        wanted = keras.ops.convert_to_numpy(wanted)
        assert np.abs(real - wanted).mean() < 0.05 * np.abs(wanted).max()


@pytest.mark.slow
def test_a_pose_estimator_trains_and_becomes_int8():
    head = PoseHead(widths=(16, 16, 16, 16), groups=(4, 4, 4, 4), branches=(0, 0, 0, 0))
    estimator = MicroNetPoseEstimator(tiny_backbone(), head, keypoints=3)
    pixels = images(4, size=64)
    qat = quantize_aware(estimator, [pixels])
    qat.compile("sgd", HeatmapLoss(1.5), metrics=[KeypointAccuracy(0.5)])
    points = np.full((4, 3, 3), 8, "float32")
    history = qat.fit(qat.preprocess(pixels), points, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert all(0 <= share <= 1 for share in history["accuracy"])
    interpreter = Interpreter(convert(qat.quantized_graph()))
    assert tuple(interpreter.output.shape) == (1, 16, 16, 3)


@pytest.mark.slow
@pytest.mark.parametrize("setting", [None, "1"])
def test_tf_keras_stays_as_it_was(setting):
    code = (
        "import os, sys\n"
        "sys.path.insert(0, 'tests/support')\n"
        "import keras, micronet_keras, small_cnn, small_micronet, tensorflow as tf\n"
        "images = small_micronet.images(2, 16)\n"
        "micronet_keras.quantize_aware(small_cnn.small_cnn(), [images])\n"
        "print(os.environ.get('TF_USE_LEGACY_KERAS'), tf.keras.Model is keras.Model)"
    )
    environment = {name: value for name, value in os.environ.items() if "LEGACY" not in name}
    environment["PYTHONPATH"] = str(ROOT)
    if setting is not None:
        environment["TF_USE_LEGACY_KERAS"] = setting
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=ROOT,
    )
    assert done.stdout.splitlines()[-1].split() == [str(setting), str(setting != "1")]
