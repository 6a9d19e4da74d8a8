"""One run on one process and on two: the same weights, nothing lost, one line each at the end."""

import dataclasses
import time

import keras
import numpy as np
import optional
import pytest
import spread_run
import tensorflow as tf
from tiny_tasks import CASES

from micronet_keras.data import Part
from micronet_keras.data.decoding import BadImages
from micronet_keras.data.pipeline import _with_record_before, decoded_with_stand_in
from micronet_keras.distribution import devices_in_use, joined
from micronet_keras.train import checkpoint, train
from micronet_mcu.errors import UserError

TASK = "classification"  # Of the others, JAX compiles the training for minutes.
# Sums of the same numbers in another order, over 12 steps.
CLOSE = 2e-4


@pytest.mark.slow
def test_two_processes_end_like_one_and_one_goes_on_where_a_process_died(tmp_path):
    optional.require("jax")
    two = spread_run.Processes(tmp_path / "two", TASK, 2, dies=1)
    two.started[1].wait(spread_run.TIMEOUT_S)
    died = time.monotonic()
    (status, words), (killed, _) = two.ended()
    assert time.monotonic() - died < 60
    assert (status, killed) == (2, -9), words
    # What TensorFlow writes when it is imported comes before.
    *before, last = words.splitlines()
    assert last.startswith("error: another process of this run ended"), words
    assert not any("error: " in line or "Traceback" in line for line in before), words

    for folder in ("two", "one"):
        ((status, words),) = spread_run.Processes(tmp_path / folder, TASK, 1).ended()
        assert status == 0, words
    check_same(tmp_path / "two" / TASK, tmp_path / "one" / TASK)


def check_same(folder, reference):
    (arrays, history), (wanted, expected) = (
        checkpoint.read_checkpoint(place / "last.keras") for place in (folder, reference)
    )
    for have, want in zip(arrays, wanted, strict=True):
        np.testing.assert_allclose(have, want, rtol=CLOSE, atol=CLOSE)
    for row, other in zip(history, expected, strict=True):
        for name in row.keys() - {"seconds"}:
            assert row[name] == pytest.approx(other[name], abs=1e-3), name
    assert {path.name for path in folder.iterdir()} == {path.name for path in reference.iterdir()}


@pytest.mark.parametrize("task", list(CASES))
def test_the_parts_of_the_training_batches_are_the_batches(task):
    case = CASES[task]
    source = case.source()

    def batches(part):
        examples = case.task.examples(dataclasses.replace(source, part=part), "train", case.config)
        made = case.task.batches(examples, case.config, training=True).take(3)
        return list(made.as_numpy_iterator())

    parts = [batches(Part(index, 4)) for index in range(4)]
    for whole, *rows in zip(batches(Part()), *parts, strict=True):
        for number, want in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([row[number] for row in rows]), want)


def test_a_part_of_what_is_not_kept_in_memory_is_decoded_with_stand_ins():
    good = [tf.io.encode_png(np.full((2, 2, 3), value, np.uint8)).numpy() for value in range(4)]
    images = [good[0], good[1], b"broken", good[3]]
    records = tf.data.Dataset.from_tensor_slices({"image": images, "record": list("abcd")})
    bad = BadImages()
    places = _with_record_before(records).enumerate().filter(lambda place, _: place >= 2)
    seen = list(decoded_with_stand_in(places, bad).as_numpy_iterator())
    assert [int(place) for place, _ in seen] == [2, 3]
    assert [record["image"][0, 0, 0] for _, record in seen] == [1, 3]
    assert bad.records == ["c"]


def test_part():
    assert [Part(index, 2).rows(6) for index in range(2)] == [slice(0, 3), slice(3, 6)]
    places = tf.range(12)
    assert places[Part(1, 2).holds(places, 6)].numpy().tolist() == [3, 4, 5, 9, 10, 11]
    with pytest.raises(ValueError, match="index must be"):
        Part(2, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("host:1", 2, None), "--process is missing"),
        (("host", 2, 0), "HOST:PORT"),
        (("host:1", 2, 2), "--process counts from 0"),
    ],
)
def test_wrong_arguments_are_one_line(monkeypatch, arguments, words):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match=words), joined(*arguments):
        pass


def test_another_backend_says_which_one_can(tmp_path):
    with pytest.raises(UserError, match="KERAS_BACKEND=jax"), joined():
        pass
    case = CASES["classification"]
    distribution = keras.distribution.DataParallel(devices=["cpu:0"])
    model = case.build()
    with distribution.scope(), pytest.raises(UserError, match="KERAS_BACKEND=jax"):
        train(case.task, model, case.source(), case.config, tmp_path / "run")
    with devices_in_use() as devices:
        assert devices == 0
