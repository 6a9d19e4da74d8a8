"""Every task through every step, by the same calls, from training to the files of a firmware."""

import dataclasses
import functools
import importlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tiny_tasks import CASES, SPLITS, Noted, with_broken_image

from micronet_keras.compare import compare
from micronet_keras.deploy import deploy
from micronet_keras.quantize import (
    QuantizeConfig,
    QuantizedGraph,
    convert,
    post_training_quantize,
    quantize,
)
from micronet_keras.tasks import TASKS, replace
from micronet_keras.train import make_repeatable, read_run, train
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm import Interpreter

# The module: the package has the function by this name.
comparison = importlib.import_module("micronet_keras.compare")

RUN_FILES = {
    "best.keras", "last.keras", "config.json", "history.csv", "tensorboard", "curve.png",
    "predictions.png", "summary.json", ".micronet.json",
}  # fmt: skip
FIRMWARE = {"model.tflite", "model_data.h", "model_data.cc", "op_resolver.h"}
SETTINGS = QuantizeConfig(batch_size=8, calibration_images=16, seed=3)


def train_case(case, folder):
    make_repeatable(case.config.training)
    model = case.build()
    return model, train(case.task, model, case.source(), case.config, folder)


class Trained:
    """A case that was trained; what follows from it is made when first asked for."""

    def __init__(self, case, folder):
        self.case, self.folder, self.source = case, folder, case.source()
        self.model, self.result = train_case(case, folder)
        # The task as the fine-tuning meets it.
        self.noted = Noted(case.task)
        self.quantized = functools.cache(self._quantized)
        self.flatbuffer = functools.cache(lambda epochs: convert(self.quantized(epochs)))
        self.compared = functools.cache(self._compared)
        self.in_c = functools.cache(HostRunner)

    def _quantized(self, epochs):
        settings = dataclasses.replace(SETTINGS, epochs=epochs)
        tasks = {self.case.task.name: self.noted.task}
        return quantize(self.folder, settings, source=self.source, tasks=tasks, verbose=0)

    def _compared(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(comparison, "HostRunner", self.in_c)
            return compare(self.folder, self.flatbuffer(0), source=self.source, compiled=True)


@pytest.fixture(scope="module", params=TASKS)
def run(request, tmp_path_factory):
    return Trained(CASES[request.param], tmp_path_factory.mktemp(request.param) / "run")


def images_of(run):
    """A batch of whole test images, uint8."""
    examples = run.case.task.examples(run.source, "test", run.case.config)
    batches = run.case.task.batches(examples, run.case.config, training=False)
    return next(batches.as_numpy_iterator())[0]


def said(run, runner, pixels):
    """The numbers of a model's answers that another form of it should come near to."""
    return run.case.say(run.case.task.predictor(runner, run.case.config)(pixels))


def test_there_is_a_case_for_every_task():
    assert list(CASES) == list(TASKS)


@pytest.mark.slow
def test_a_run_has_the_same_files_whatever_the_task(run):
    task, result = run.case.task, run.result
    assert {path.name for path in run.folder.iterdir()} == RUN_FILES
    assert result.trained and len(result.history) == 2
    assert result.summary == json.loads((run.folder / "summary.json").read_text())
    assert result.summary["task"] == task.name
    monitored = [row[f"val_{task.monitor}"] for row in result.history]
    assert result.summary[f"best_val_{task.monitor}"] == max(monitored)
    tested = {name for name in result.summary if name.startswith("test_")}
    assert tested == {f"test_{name}" for name in run.case.figures}
    for picture in ("predictions.png", "curve.png"):
        assert np.asarray(Image.open(run.folder / picture)).ndim == 3


@pytest.mark.slow
def test_a_finished_run_is_not_run_again(run):
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    other, again = train_case(run.case, run.folder)
    assert not again.trained and again.summary == run.result.summary
    assert again.history == run.result.history
    assert before == {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    for ours, theirs in zip(other.weights, run.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_run_is_read_back_as_it_was(run):
    read = read_run(run.folder)
    assert read.task is run.case.task and read.config == run.case.config
    assert read.class_names == run.case.task.class_names(run.source)
    assert read.dataset == run.source.name
    again = read.model()
    assert type(again) is type(run.model) and again.name == run.model.name
    pixels = np.random.RandomState(0).standard_normal((2, *again.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(again(pixels), run.model(pixels))


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1])
def test_quantized_graphs_remember_task_and_classes(run, epochs, tmp_path):
    quantized = run.quantized(epochs)
    assert quantized.task == run.case.task.name
    assert list(quantized.class_names) == run.case.task.class_names(run.source)
    assert quantized.sample.shape == run.model.input_shape[1:]
    assert quantized.sample.dtype == np.uint8
    quantized.save(tmp_path / "graph.npz")
    assert convert(QuantizedGraph.load(tmp_path / "graph.npz")) == run.flatbuffer(epochs)
    # Nothing of the fine-tuning stays in the run's folder.
    assert {path.name for path in run.folder.iterdir()} == RUN_FILES


@pytest.mark.slow
def test_fine_tuning_sees_the_batches_of_the_run(run):
    """Neither mirrored nor cropped otherwise: only length, batches and order are its own."""
    run.quantized(1)
    (config, batches), *others = run.noted.trained_on
    assert not others
    wanted = replace(run.case.config, epochs=1, batch_size=8, warmup_epochs=0, seed=SETTINGS.seed)
    assert config == wanted
    examples = run.case.task.examples(run.source, "train", wanted)

    def made(config):
        data = run.case.task.batches(examples, config, training=True)
        return [pixels for pixels, _ in data.as_numpy_iterator()]

    assert len(batches) == 4
    np.testing.assert_array_equal([pixels for pixels, _ in batches], made(wanted))
    # What a mirror would have made of them.
    assert (np.array(made(replace(wanted, flip=True))) != np.array(made(wanted))).any()


@pytest.mark.slow
def test_fine_tuning_has_the_loss_of_the_run(run):
    run.quantized(1)
    assert len(run.noted.losses) == 1 and run.noted.loss_calls > 0
    config = run.noted.losses[0].get_config()
    assert config == run.case.task.loss(run.model, run.case.config).get_config()
    for name, value in run.case.loss.items():
        assert config[name] == value


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1])
def test_int8_is_near_to_float(run, epochs):
    interpreter, pixels = Interpreter(run.flatbuffer(epochs)), images_of(run)
    expected, found = said(run, run.model, pixels), said(run, interpreter, pixels)
    assert np.abs(expected).max() > run.case.apart
    np.testing.assert_allclose(found, expected, atol=run.case.apart)


@pytest.mark.slow
def test_comparison_measures_every_form_as_the_training_did(run):
    result = run.compared()
    forms = list(result.measured)
    assert forms == ["float", "int8", "c"]
    assert result.summary["images"] == SPLITS["test"]
    assert result.summary["flash_bytes"] == len(run.flatbuffer(0))
    assert result.summary["arena_bytes"] > 1000
    for form in forms:
        assert tuple(result.measured[form].figures) == run.case.figures
    for name in run.case.figures:
        for form in forms:
            assert result.summary[f"{form}_{name}"] == result.measured[form].figures[name]
        # Of the saved model, as those of the training.
        assert result.summary[f"float_{name}"] == run.result.summary[f"test_{name}"]


@pytest.mark.slow
def test_compiled_code_says_what_tflm_says(run):
    pixels, flatbuffer = images_of(run), run.flatbuffer(0)
    on_tflm, in_c = (said(run, form(flatbuffer), pixels) for form in (Interpreter, run.in_c))
    if run.case.task.name == "classification":
        # No DY-ShiftMax, whose kernel rounds once where TFLM rounds thrice.
        np.testing.assert_array_equal(in_c, on_tflm)
        summary = run.compared().summary
        assert summary["c_agreement"] == 1 and summary["c_sqnr_db"] == float("inf")
    np.testing.assert_allclose(in_c, on_tflm, atol=run.case.apart / 2)


@pytest.mark.slow
def test_what_is_counted_is_what_was_looked_at(run):
    few = compare(run.folder, run.flatbuffer(0), source=run.source, limit=5)
    assert few.summary["images"] == 5
    assert {measured.count for measured in few.measured.values()} == {5}
    task, config = run.case.task, run.case.config
    examples = task.examples(with_broken_image(run.source, "test", 3), "test", config)
    predict = task.predictor(Interpreter(run.flatbuffer(0)), config)
    assert task.measure(predict, examples, config).count == SPLITS["test"] - 1


@pytest.mark.slow
def test_deployed_files_are_those_of_the_task(run, tmp_path):
    made = deploy(tmp_path, run.quantized(0))
    extra = {"model_detector.h"} if run.case.task.name == "detection" else set()
    assert {path.name for path in tmp_path.iterdir()} == FIRMWARE | extra
    assert Path(tmp_path, "model.tflite").read_bytes() == made.flatbuffer


def test_two_outputs_make_no_detector(tmp_path):
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, 2, "same")(image)
    # Shaped like the scores and boxes of a level.
    maps = [keras.layers.Conv2D(channels, 1)(x) for channels in (2, 4)]
    pixels = np.random.RandomState(0).randint(0, 256, (4, 16, 16, 3)).astype("uint8")
    made = deploy(tmp_path, post_training_quantize(keras.Model(image, maps), [pixels]))
    assert len(made.outputs) == 2
    assert {path.name for path in tmp_path.iterdir()} == FIRMWARE
