"""Small models and data that the commands work on, and what makes two results the same."""

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from tiny_tflite import small_micronet as small_flatbuffer  # noqa: E402

CLASSES = ("a", "b", "c", "d")
# What a clock decides.
_TIMES = ("seconds", "images_per_second")


def make(folder: Path, all_of_it: bool) -> None:
    """Fills a folder: model.tflite, and pictures/ (a dataset), m0.pth, run/ (of a training),
    ptq.npz, where they are wanted and not there.

    What needs TensorFlow is made by another process, which takes some seconds.
    """
    folder.mkdir(exist_ok=True)
    (folder / "model.tflite").write_bytes(small_flatbuffer())
    if not all_of_it or (folder / "pictures").exists():
        return
    pictures(folder / "pictures")
    program = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(ROOT)!r}]\n"
        f"import material; material._make_models({str(folder)!r})"
    )
    status = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", program])
    if status:
        raise RuntimeError(f"the models could not be made: exit status {status}")


def pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 3)):
        for i, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(rng.normal(40 + 50 * i, 40, (32, 32, 3)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(
                    folder / split / name / f"{number}.png"
                )


def _make_models(where: str) -> None:
    import synthetic
    import torch
    from small_cnn import small_cnn

    from micronet_keras.data import load_dataset
    from micronet_keras.models import CONFIGS, MicroNet
    from micronet_keras.quantize import QuantizeConfig, quantize
    from micronet_keras.tasks import CLASSIFICATION, replace
    from micronet_keras.train.train import run_settings

    folder = Path(where)
    state = synthetic.state_dict(MicroNet(CONFIGS["m0"]))
    torch.save({k: torch.from_numpy(v) for k, v in state.items()}, folder / "m0.pth")
    run = folder / "run"
    run.mkdir()
    config = replace(CLASSIFICATION.recipes["quick"], image_size=32, batch_size=8)
    source = load_dataset(str(folder / "pictures"))
    stored = run_settings(CLASSIFICATION, source, source.splits, config, {"model": "small"})
    (run / "config.json").write_text(json.dumps(stored))
    small_cnn(32).save(run / "best.keras")
    quantize(run, QuantizeConfig(epochs=0)).save(folder / "ptq.npz")


def digest(path: Path) -> str | None:
    """The same for results that are the same; None where there is none. Times do not count."""
    if not os.path.lexists(path):
        return None
    if path.is_dir():
        names = sorted(p for p in path.rglob("*") if p.is_file() and "tensorboard" not in p.parts)
        parts = [f"{p.relative_to(path)}:{digest(p)}" for p in names]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    content = path.read_bytes()
    if path.suffix in (".npz", ".keras"):
        content = _of_archive(content)
    elif path.name == "summary.json":
        content = json.dumps(_timeless(json.loads(content))).encode()
    elif path.name == "history.csv":
        rows = [line.split(",") for line in content.decode().splitlines()]
        keep = [i for i, name in enumerate(rows[0]) if name not in _TIMES]
        content = repr([[row[i] for i in keep] for row in rows]).encode()
    return hashlib.sha256(content).hexdigest()


def _of_archive(content: bytes) -> bytes:
    """The members without their dates; raises zipfile.BadZipFile where one is damaged."""
    parts = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in sorted(archive.namelist()):
            member = archive.read(name)
            if name == "metadata.json":
                continue
            if name == "config.json":  # Keras numbers shared objects by their addresses.
                member = re.sub(rb'"shared_object_id": \d+', b"", member)
            if name == "training_state.npz":
                with np.load(io.BytesIO(member)) as state:
                    rows = _timeless(json.loads(state["history"].item()))
                    arrays = [state[key].tobytes() for key in state.files if key != "history"]
                member = repr(rows).encode() + b"".join(arrays)
            parts.append(name.encode() + hashlib.sha256(member).digest())
    return b"".join(parts)


def _timeless(value):
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return {key: item for key, item in value.items() if key not in _TIMES}


def strays(folder: Path, expected: set[str]) -> list[str]:
    """What lies about: names in `folder` that are not expected, hidden ones anywhere below."""
    found = [path.name for path in folder.iterdir() if path.name not in expected]
    for path in folder.rglob(".micronet*"):
        if path.name != ".micronet.json":
            found.append(str(path.relative_to(folder)))
    return sorted(set(found))
