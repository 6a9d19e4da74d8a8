"""Quantization: ranges, the rounded model, fine-tuning, and the file that conversion takes."""

import contextlib
import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cnn import small_cnn
from small_micronet import CLASSES, images, small_micronet

from micronet_keras.lower import lower
from micronet_keras.lower.tensorflow import run
from micronet_keras.quantize import (
    ENGINES,
    QuantizeConfig,
    QuantizedGraph,
    calibrate,
    fine_tune,
    post_training_quantize,
    quantize_aware,
)
from micronet_mcu.errors import UserError


@pytest.fixture(scope="module")
def graph():
    return lower(small_micronet())


@pytest.fixture(scope="module")
def layers():
    """Three layers, for what a training does whatever the model."""
    return lower(small_cnn())


@pytest.fixture(scope="module")
def quantized(graph):
    return post_training_quantize(graph, [images(16)], [f"class {i}" for i in range(CLASSES)])


def prepared(graph, pixels):
    return ((pixels - np.float32(graph.input.pixel_zero)) * graph.input.pixel_scale).astype("f4")


@pytest.mark.slow
def test_ranges_are_the_means_of_the_batches(graph):
    first, second, both = (
        calibrate(graph, batches)
        for batches in ([images(4)], [images(4, seed=1)], [images(4), images(4, seed=1)])
    )
    assert set(first) == set(both)
    for name, (low, high) in both.items():
        assert low <= 0 <= high and low < high
        for end, others in (
            (low, (first[name][0], second[name][0])),
            (high, (first[name][1], second[name][1])),
        ):
            assert np.isclose(end, np.mean(others), rtol=1e-4, atol=2e-3)


def test_calibration_refuses_nothing_and_nonsense(graph):
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate(graph, [])
    unscaled = lower(small_cnn(), normalization=None)
    with pytest.raises(ValueError, match="must be finite"):
        calibrate(unscaled, [np.full((1, 16, 16, 3), np.nan, np.float32)])


@pytest.mark.slow
def test_rounded_model_starts_where_post_training_quantization_ends(graph, quantized):
    """Up to the rounding of the weights, which the plain form leaves to the converter."""
    qat = quantize_aware(graph, [images(16)])
    pixels = images(8, seed=5)
    x = prepared(graph, pixels)
    np.testing.assert_allclose(qat.preprocess(pixels), x, rtol=1e-6)
    ours = qat(x, training=False).numpy()
    rounded = run(graph, x, quantized.ranges)[0].numpy()
    spread = np.abs(rounded).max()
    assert np.abs(ours - rounded).max() < 0.1 * spread
    again = qat.quantized_graph()
    for name, ends in quantized.ranges.items():
        np.testing.assert_allclose(again.ranges[name], ends, rtol=1e-5)
    np.testing.assert_allclose(run(again.graph, x)[0], run(graph, x)[0], atol=1e-4)


tiny = functools.partial(images, size=16)


def stream(first_epoch, spoil=None, epochs=3):
    def generate():
        for epoch in range(first_epoch, epochs):
            if epoch == spoil:
                raise KeyboardInterrupt
            for step in range(2):
                yield tiny(4, seed=10 * epoch + step), np.arange(4) % CLASSES

    signature = (tf.TensorSpec((4, 16, 16, 3), tf.uint8), tf.TensorSpec((4,), tf.int64))
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def tune(qat, batches, steps, epochs, folder, *, validation=None, learning_rate=0.05, metrics=()):
    return fine_tune(
        qat,
        batches,
        loss=qat.library.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=metrics,
        validation=stream(0).take(1) if validation is None else validation,
        steps_per_epoch=steps,
        epochs=epochs,
        learning_rate=learning_rate,
        backup=folder,
        verbose=0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_stopped_fine_tuning_ends_as_if_it_had_not_been_stopped(layers, engine, tmp_path):
    def tuned(folder, stop_after=None):
        qat = quantize_aware(layers, [tiny(4)], engine)
        if stop_after:

            class Stop(qat.library.callbacks.Callback):
                def on_epoch_begin(self, epoch, logs=None):
                    if epoch == stop_after:
                        raise KeyboardInterrupt

            original = qat.fit
            qat.fit = lambda *a, callbacks, **k: original(*a, callbacks=[*callbacks, Stop()], **k)
        tune(qat, stream, 2, 3, folder, learning_rate=0.05)
        return qat

    whole = tuned(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "b", stop_after=2)
    assert (tmp_path / "b").exists()
    resumed = tuned(tmp_path / "b")
    # For the caller to remove, when the result is safe: until then the same call gives it again.
    assert (tmp_path / "b").exists()
    for ours, theirs in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))


@pytest.mark.slow
def test_fine_tuning_that_only_harms_gives_back_the_start(layers, tmp_path):
    qat = quantize_aware(layers, [tiny(4)])
    before = [variable.numpy() for variable in qat.variables]
    # What the model says at first is called right: no step can do better.
    labels = np.argmax(qat.predict(qat.preprocess(tiny(4)), verbose=0), axis=-1)
    validation = tf.data.Dataset.from_tensors((tiny(4), labels))
    wrong = tf.data.Dataset.from_tensors((tiny(4), (labels + 1) % CLASSES)).repeat()
    history = tune(
        qat, lambda _: wrong, 4, 2, tmp_path / "state", validation=validation, metrics=("accuracy",)
    )
    assert min(history["val_accuracy"]) < 1
    for variable, value in zip(qat.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.slow
def test_the_best_epoch_survives_a_stop(layers, tmp_path):
    labels = np.zeros(4, int)
    validation = tf.data.Dataset.from_tensors((tiny(4), labels))

    def tuned(folder, stop_before=None):
        def batches(first_epoch):
            # After the first epoch wrong labels: the last is not the best.
            def generate():
                for epoch in range(first_epoch, 3):
                    if epoch == stop_before:
                        raise KeyboardInterrupt
                    for _ in range(8):
                        yield tiny(4), labels if epoch == 0 else labels + 1

            signature = (tf.TensorSpec((4, 16, 16, 3), tf.uint8), tf.TensorSpec((4,), tf.int64))
            return tf.data.Dataset.from_generator(generate, output_signature=signature)

        qat = quantize_aware(layers, [tiny(4)])
        # A small rate, for outputs that leave their range would not come back.
        history = tune(qat, batches, 8, 3, folder, validation=validation, learning_rate=0.01)
        return qat, history["val_loss"]

    whole, val_losses = tuned(tmp_path / "a")
    best = min(val_losses[:2])
    assert best < val_losses[2]
    with pytest.raises(BaseException, match="KeyboardInterrupt"):
        tuned(tmp_path / "b", stop_before=2)
    resumed, _ = tuned(tmp_path / "b")
    val_loss = resumed.evaluate(resumed.preprocess(tiny(4)), labels, verbose=0)
    assert val_loss == pytest.approx(best)
    for ours, theirs in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_epoch(layers, tmp_path):
    qat = quantize_aware(layers, [tiny(4)])
    with pytest.raises(UserError, match="smaller learning rate"):
        tune(qat, stream, 2, 3, tmp_path / "state", learning_rate=1e38)


def test_unusable_backup_folder(layers, tmp_path):
    (tmp_path / "file").write_text("")
    qat = quantize_aware(layers, [tiny(4)])
    with pytest.raises(UserError, match="file/state"):
        tune(qat, stream, 2, 1, tmp_path / "file" / "state")


@pytest.mark.parametrize("content", [b"", b"PK", "another"], ids=["empty", "cut", "another"])
def test_a_damaged_state_is_named(layers, content, tmp_path):
    last = tmp_path / "last.npz"
    if content == "another":
        np.savez(last, *[np.zeros(3)] * 500, progress=[1, 0.0])
    else:
        last.write_bytes(content)
    with pytest.raises(UserError, match="last.npz is damaged; remove it"):
        tune(quantize_aware(layers, [tiny(4)], "keras"), stream, 2, 1, tmp_path)


def test_saved_graph_is_the_same(quantized, tmp_path):
    quantized = dataclasses.replace(quantized, sample=images(1)[0])
    quantized.save(tmp_path / "q.npz")
    loaded = QuantizedGraph.load(tmp_path / "q.npz")
    assert loaded.class_names == ("class 0", "class 1", "class 2", "class 3")
    assert loaded.ranges == quantized.ranges
    np.testing.assert_array_equal(loaded.sample, quantized.sample)
    x = prepared(quantized.graph, images(2))
    np.testing.assert_array_equal(
        run(loaded.graph, x, loaded.ranges)[0], run(quantized.graph, x, quantized.ranges)[0]
    )


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(UserError, match="no such file; micronet quantize writes it"):
        QuantizedGraph.load(tmp_path / "nothing.npz")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UserError, match="not a quantized graph"):
        QuantizedGraph.load(tmp_path / "text")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match="not a quantized graph"):
        QuantizedGraph.load(tmp_path / "other.npz")


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_files_are_refused_or_read(quantized, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    if not path.with_suffix(".whole").exists():
        quantized.save(path)
        path.with_suffix(".whole").write_bytes(path.read_bytes())
    content = bytearray(path.with_suffix(".whole").read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        assert isinstance(QuantizedGraph.load(path), QuantizedGraph)


@pytest.mark.parametrize(
    "field, value",
    [
        ("epochs", -1),
        ("batch_size", 0),
        ("calibration_images", 0),
        ("learning_rate", 0.0),
        ("seed", -1),
        ("engine", "qkeras"),
    ],
)
def test_settings_out_of_range(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*Received: '?{value}"):
        QuantizeConfig(**{field: value})
