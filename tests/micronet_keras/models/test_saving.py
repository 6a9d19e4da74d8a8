"""The three kinds of models, compiled and saved, go on in a process that knows only the file."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from optional import require
from paths import ROOT
from stick_figures import tiny_backbone

from micronet_keras.losses import DetectionLoss, SmoothedCrossentropy
from micronet_keras.models import (
    MicroNetObjectDetector,
    MicroNetPoseEstimator,
    PoseHead,
    read_keras,
)

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.standard_normal((4, 64, 64, 3)).astype("float32")
LABELS = np.array([0, 2, 1, 2])
OBJECTS = np.array([[[8, 4, 40, 50, 1], [0, 0, 0, 0, -1]]] * 4, "float32")
KEYPOINTS = np.tile(RANDOM.uniform(0, 16, (4, 5, 1)), (1, 1, 3)).astype("float32")
KEYPOINTS[..., 2] = 1

# Evaluates a loaded model, trains it for a step and predicts.
PROGRAM = """
import json, sys
import keras
import numpy as np
import micronet_keras

folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/model.keras")
# To make a graph takes much longer than two steps, but with JAX every operation would be compiled.
model.jit_compile = keras.backend.backend() == "jax"
model.run_eagerly = not model.jit_compile
data = np.load(f"{folder}/data.npz")
started = model.evaluate(data["x"], data["y"], verbose=0, return_dict=True)
history = model.fit(data["x"], data["y"], epochs=2, verbose=0).history
if model.run_eagerly:
    np.save(f"{folder}/raw.npy", keras.ops.convert_to_numpy(model(data["x"])))
found = model.predict(data["x"], verbose=0)
print(json.dumps({
    "type": type(model).__name__, "loss": type(model.loss).__name__, "history": history,
    "optimizer": model.optimizer.name, "started": started, "predicted": len(found),
    "iterations": int(model.optimizer.iterations), "backend": keras.backend.backend(),
}))
"""


def classifier():
    features = tiny_backbone()
    x = keras.layers.GlobalAveragePooling2D()(features.output)
    model = keras.Model(features.input, keras.layers.Dense(3)(x))
    metrics = ["sparse_categorical_accuracy"]
    model.compile("adam", SmoothedCrossentropy(0.1), metrics=metrics, run_eagerly=True)
    return model, LABELS


def detector():
    model = MicroNetObjectDetector(tiny_backbone(), 2, width=8, blocks=0)
    model.compile(run_eagerly=True)
    return model, OBJECTS


def pose_estimator():
    head = PoseHead(widths=(16, 16, 16, 16), groups=(4, 4, 4, 4), branches=(0, 0, 0, 0))
    model = MicroNetPoseEstimator(tiny_backbone(), head, keypoints=5)
    model.compile(run_eagerly=True)
    return model, KEYPOINTS


def run(program: str, folder, **environment) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("build", [classifier, detector, pose_estimator])
def test_a_compiled_model_goes_on_in_a_new_process(build, tmp_path):
    model, y = build()
    model.fit(IMAGES, y, verbose=0)
    wanted = model.evaluate(IMAGES, y, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=IMAGES, y=y)
    report = run(PROGRAM, tmp_path)
    assert report["type"] == type(model).__name__ and report["loss"] == type(model.loss).__name__
    assert report["started"] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert report["predicted"] == len(IMAGES)
    # The optimizer goes on, too: the same two steps here lead to the same place.
    assert report["optimizer"] == model.optimizer.name and report["iterations"] == 3
    history = model.fit(IMAGES, y, epochs=2, verbose=0).history
    for name, values in history.items():
        assert report["history"][name] == pytest.approx(values, rel=1e-3, abs=1e-4)
    raw = keras.ops.convert_to_numpy(model(IMAGES))
    np.testing.assert_allclose(np.load(tmp_path / "raw.npy"), raw, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("build", "backend"), [(detector, "jax"), (pose_estimator, "torch")])
def test_a_compiled_model_goes_on_on_another_backend(build, backend, tmp_path):
    require(backend)
    model, y = build()
    wanted = model.evaluate(IMAGES, y, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=IMAGES, y=y)
    report = run(PROGRAM, tmp_path, KERAS_BACKEND=backend, PYTHONPATH=str(ROOT))
    assert report["backend"] == backend
    assert report["started"] == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert report["predicted"] == len(IMAGES) and report["iterations"] == 2
    # The two steps lead where they lead here; a detector's loss may well rise at first.
    losses = model.fit(IMAGES, y, epochs=2, verbose=0).history["loss"]
    assert report["history"]["loss"] == pytest.approx(losses, rel=5e-3)


@pytest.mark.slow
def test_what_is_compiled_otherwise_stays_so(tmp_path):
    model, _ = detector()
    loss = DetectionLoss(model.coder, "focal", "ciou", box_weight=7.0)
    model.compile(keras.optimizers.SGD(0.25), loss, metrics=[])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == loss.get_config()
    assert float(again.optimizer.learning_rate) == 0.25
    assert again.get_compile_config()["metrics"] == []
    assert not read_keras(tmp_path / "model.keras").compiled
