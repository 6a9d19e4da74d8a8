"""The float models on Keras' other backends: the same file, the same answer, trainable."""

import dataclasses
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import small_micronet
from optional import require
from paths import ROOT

from micronet_keras.models import MicroNet, preprocess_input

# Runs in a process of its own, for the backend is chosen when Keras is imported.
PROGRAM = """
import json, sys
import keras
import numpy as np
from micronet_keras.models import preprocess_input

folder = sys.argv[1]
model = keras.models.load_model(f"{folder}/model.keras")
pixels = np.load(f"{folder}/pixels.npy")
np.save(f"{folder}/logits.npy", model.predict(preprocess_input(pixels), verbose=0))
tensor = preprocess_input(keras.ops.convert_to_tensor(pixels))
difference = np.abs(keras.ops.convert_to_numpy(tensor) - preprocess_input(pixels)).max()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# JAX compiles every operation on its own otherwise, which takes longer than the whole step.
jit = keras.backend.backend() == "jax"
model.compile(keras.optimizers.SGD(0.05), loss, jit_compile=jit)
losses = [float(model.train_on_batch(preprocess_input(pixels), np.arange(4))) for _ in range(4)]
print(json.dumps({
    "backend": keras.backend.backend(), "losses": losses, "difference": float(difference)
}))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(folder with the model and pixels, its logits here)"""
    folder = tmp_path_factory.mktemp("saved")
    # A block of each kind, and an odd size, so that the padding is put to the test.
    keras.utils.set_random_seed(7)
    rows = tuple(small_micronet.CONFIG.rows[place] for place in (0, 2, 3))
    config = dataclasses.replace(small_micronet.CONFIG, rows=rows)
    model = small_micronet.randomized(MicroNet(config, (37, 37, 3), classes=4))
    model.save(folder / "model.keras")
    pixels = np.random.RandomState(0).randint(0, 256, (4, 37, 37, 3)).astype("uint8")
    np.save(folder / "pixels.npy", pixels)
    return folder, np.asarray(model(preprocess_input(pixels)))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_gives_the_same_answer_and_trains(backend, saved):
    require(backend)
    folder, wanted = saved
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["backend"] == backend
    assert report["difference"] < 1e-5
    assert report["losses"][-1] < report["losses"][0]
    assert wanted.std() > 0.01
    np.testing.assert_allclose(np.load(folder / "logits.npy"), wanted, atol=1e-4)
