"""Damaged files and answers: one line each, never a traceback, never a hang.

Run as a program it is a worker: it works through a range of cases, each a function of its number
alone, and is killed by an alarm when one of them hangs.
"""

import io
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT), str(ROOT / "tests" / "support")]
_HANGS_AFTER_S = 300  # Long, for the machine may have other work.
_MOST_BYTES = 12 * 2**30
_BYTES = (0, 1, 2, 4, 0x7F, 0x80, 0xFE, 0xFF)
_VALUES = (None, True, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "a",
           "\0", "x" * 5000, [], [[]], {}, {"a": 1}, [1, 2, 3])  # fmt: skip


def mutate(kind: str, count: int, folder: Path, seconds: float) -> dict:
    """Works through `count` cases of a kind in other processes, or as many as time allows.

    Returns:
        cases: how many there were; refused: how many of them were refused as they should be;
        findings: tracebacks, crashes and hangs, with the number of the case.
    """
    total = {"cases": 0, "refused": 0, "findings": []}
    end = time.monotonic() + seconds
    place = folder / kind
    place.mkdir(exist_ok=True)
    while total["cases"] < count and time.monotonic() < end and len(total["findings"]) < 20:
        done = subprocess.run(
            [sys.executable, __file__, kind, str(total["cases"]), str(count),
             str(max(end - time.monotonic(), 1)), str(place)],
            capture_output=True, text=True, check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        state = json.loads((place / "state.json").read_text())
        total["refused"] += state["refused"]
        total["findings"] += state["findings"]
        total["cases"] = state["next"]
        if done.returncode:
            what = "hang" if done.returncode == -signal.SIGALRM else f"exit {done.returncode}"
            total["findings"].append(f"case {state['next']}: {what}: {done.stderr[-1000:]}")
            total["cases"] += 1
    return total


def work(kind: str, first: int, count: int, seconds: float, place: Path) -> None:
    """Works through these cases, in this process; state.json in `place` says how it went."""
    from micronet_mcu.errors import UserError

    attempt = KINDS[kind](place)
    end = time.monotonic() + seconds
    state = {"next": first, "refused": 0, "findings": []}
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with open(place / "state.json", "w") as file:
        for case in range(first, count):
            file.seek(0)
            file.write(json.dumps(state | {"next": case}))
            file.truncate()
            file.flush()
            if time.monotonic() > end or len(state["findings"]) >= 20:
                return
            signal.alarm(_HANGS_AFTER_S)
            try:
                attempt(random.Random(case), case)
            except UserError as error:
                state["refused"] += 1
                if "\n" in str(error).strip():
                    state["findings"].append(f"case {case}: several lines: {error}")
            except Exception:
                state["findings"].append(f"case {case}: {traceback.format_exc()[-1500:]}")
            signal.alarm(0)
        file.seek(0)
        file.write(json.dumps(state | {"next": count}))
        file.truncate()


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, and at times a piece lost or doubled, or the end cut off."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        if changed:
            value = rng.choice([rng.randrange(256), rng.choice(_BYTES)])
            changed[rng.randrange(len(changed))] = value
    if changed and rng.random() < 0.3:
        start = rng.randrange(len(changed))
        piece = changed[start : start + rng.randint(1, 64)]
        changed[start : start + len(piece)] = piece * rng.choice([0, 2])
    return bytes(changed[: rng.randrange(len(changed) + 1)] if rng.random() < 0.2 else changed)


def damaged_json(rng: random.Random, content: bytes) -> bytes:
    """One value somewhere inside replaced by another, still JSON."""
    tree = json.loads(content)
    places = []

    def collect(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                collect(node[key])

    collect(tree)
    for _ in range(rng.randint(1, 2)):
        node, key = rng.choice(places)
        if isinstance(node, dict) and rng.random() < 0.2:
            node.pop(key, None)
        elif isinstance(node, dict) or key < len(node):
            node[key] = rng.choice(_VALUES)
    return json.dumps(tree).encode()


def damaged_zip(rng: random.Random, content: bytes, as_json=()) -> bytes:
    """Half of the time damaged as it is, else within a member, with sums that are right."""
    if rng.random() < 0.5:
        return damaged(rng, content)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        chosen = rng.choice(names)
        for name in names:
            member = old.read(name)
            if name == chosen and name in as_json:
                member = damaged_json(rng, member)
            elif name == chosen:
                member = damaged(rng, member)
            new.writestr(name, member)
    return buffer.getvalue()


def _flatbuffers(place: Path) -> Callable:
    from tiny_tflite import small_micronet

    from micronet_mcu.graph.read import read_model
    from micronet_mcu.to_c import emit, plan

    sample = small_micronet()

    def attempt(rng, case):
        # The tables come first in these files and the weights last.
        front = rng.choice([4000, len(sample)])
        model = read_model(damaged(rng, sample[:front]) + sample[front:])
        if case % 20 == 0:  # Compiling takes a hundred times as long.
            emit.source(plan(model, fuse=rng.random() < 0.5), "micronet", None)

    return attempt


def _checkpoints(place: Path) -> Callable:
    import synthetic
    import torch
    from small_micronet import small_micronet

    from micronet_keras.models import load_pytorch_checkpoint

    model = small_micronet()
    state = {k: torch.from_numpy(v) for k, v in synthetic.state_dict(model).items()}
    samples = []
    for form in (True, False):
        torch.save(state, place / "whole.pth", _use_new_zipfile_serialization=form)
        samples.append((place / "whole.pth").read_bytes())

    def attempt(rng, case):
        form = case % 2
        content = (damaged if form else damaged_zip)(rng, samples[form])
        (place / "damaged.pth").write_bytes(content)
        load_pytorch_checkpoint(model, place / "damaged.pth")

    return attempt


def _archives(place: Path) -> Callable:
    import numpy as np
    from small_micronet import images, small_micronet

    from micronet_keras.lower import lower
    from micronet_keras.quantize import QuantizedGraph
    from micronet_keras.quantize.calibrate import post_training_quantize

    graph = post_training_quantize(lower(small_micronet()), [images(4)], ("a", "b"))
    graph.save(place / "whole.npz")
    sample = (place / "whole.npz").read_bytes()
    with np.load(io.BytesIO(sample)) as arrays:
        listing = arrays["listing"].tobytes()
        others = {name: arrays[name] for name in arrays.files if name != "listing"}

    def attempt(rng, case):
        if case % 3 == 0:
            changed = np.frombuffer(damaged_json(rng, listing), np.uint8)
            np.savez(place / "damaged.npz", listing=changed, **others)
        else:
            (place / "damaged.npz").write_bytes(damaged_zip(rng, sample))
        QuantizedGraph.load(place / "damaged.npz")

    return attempt


def _models(place: Path) -> Callable:
    import keras

    from micronet_keras.layers import MicroBlockA
    from micronet_keras.models import read_keras

    # Small, for a model that is whole enough is built, which is what takes the time.
    images = keras.Input((8, 8, 4))
    x = MicroBlockA(8, hidden_groups=4, squeeze_groups=2, output_groups=2)(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(images, keras.layers.Dense(2)(x)).save(place / "whole.keras")
    sample = (place / "whole.keras").read_bytes()

    def attempt(rng, case):
        content = damaged_zip(rng, sample, as_json=("config.json", "metadata.json"))
        (place / "damaged.keras").write_bytes(content)
        read_keras(place / "damaged.keras")

    return attempt


def _annotations(place: Path) -> Callable:
    """COCO's JSON, Pascal VOC's XML, YOLO's text and YAML, in a folder each."""
    from micronet_keras.data.annotated import read_annotated
    from micronet_keras.data.annotated.coco import read_coco
    from micronet_keras.data.annotated.pictures import Files

    sample = (ROOT / "tests" / "data" / "keypoints" / "coco_people.json").read_bytes()
    for image in json.loads(sample)["images"]:
        (place / image["file_name"]).write_bytes(b"")
    files = Files(place)
    samples = {
        "voc/a.xml": b"<annotation><size><width>8</width><height>9</height></size><object>"
        b"<name>a</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
        b"</object></annotation>",
        "yolo/a.txt": b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.1 0.2 0.2\n",
        "yolo/data.yaml": b"names:\n  0: a\n  1: b\ntrain: images\n",
    }
    for name, content in samples.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)
        (place / name).with_name("a.jpg").write_bytes(b"")

    def attempt(rng, case):
        if case % 3 == 0:
            name = rng.choice(list(samples))
            (place / name).write_bytes(damaged(rng, samples[name]))
            try:
                read_annotated((place / name).parent, "boxes")
            finally:
                (place / name).write_bytes(samples[name])
            return
        change = damaged_json if case % 3 == 1 else damaged
        (place / "damaged.json").write_bytes(change(rng, sample))
        read_coco(place / "damaged.json", files)

    return attempt


_SESSION = {
    "name": b"m-name-dut-[tiny]\r\nm-ready\r\n",
    "profile": b"m-model-[tiny]\r\nm-input-[2,2,3]\r\nm-classes-[3]\r\nm-arena-[100,200]\r\n"
    b"m-ready\r\n",
    "db": f"m-load-done-[{zlib.crc32(bytes(12)):08X}]\r\nm-ready\r\n".encode(),
    "infer": b"m-lap-us-5\r\nm-lap-us-25\r\nm-ready\r\n",
    "results": b"m-results-[1,-2,3]\r\nm-ready\r\n",
    "test": b"m-test-[0,yes]\r\nm-ready\r\n",
}


class _Line:
    """A serial port whose other end answers whatever it is told to."""

    port = "a line"

    def __init__(self, answer: Callable[[str], bytes]):
        self._answer, self._waiting = answer, b""

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def write(self, data: bytes) -> None:
        self._waiting += self._answer(re.split("[ %]", data.decode())[0])

    def read(self, count: int) -> bytes:
        now, self._waiting = self._waiting[:count], self._waiting[count:]
        return now


def _sessions(place: Path) -> Callable:
    import numpy as np

    from micronet_mcu.firmware import serial_client

    serial_client._SILENCE_S = 0.0

    def attempt(rng, case):
        garbled = rng.choice(list(_SESSION))

        def answer(command):
            whole = _SESSION.get(command, b"")
            if command != garbled:
                return whole
            # The last line comes most of the time: without it the client only waits.
            end = b"m-ready\r\n" if rng.random() < 0.9 else b""
            return damaged(rng, whole.removesuffix(b"m-ready\r\n")) + b"\n" + end

        board = serial_client.BoardClient(_Line(answer), timeout_s=0.01)
        board.infer(runs=2), board.results(), board.test()
        board.load(np.zeros(board.model.shape, np.uint8))

    return attempt


def _images(place: Path) -> Callable:
    import tensorflow as tf
    from PIL import Image

    from micronet_keras.data.decoding import decode_rgb

    decode = tf.function(decode_rgb, input_signature=[tf.TensorSpec((), tf.string)])
    samples = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(buffer, kind, exif=exif)
        samples.append(buffer.getvalue())

    def attempt(rng, case):
        decode(tf.constant(damaged(rng, samples[case % len(samples)])))

    return attempt


def _pipelines(place: Path) -> Callable:
    from micronet_settings.pipeline import pipeline_of, read_pipeline

    values = {"data": {"dataset": "./photos"}, "training": {"task": "detection"}}
    path = place / "pets.yaml"
    samples = [pipeline_of(values, "pets.yaml"), pipeline_of({"data": values["data"]}, "pets.yaml")]
    texts = [sample.to_yaml().encode() for sample in samples]
    trees = [json.dumps(sample.sections()).encode() for sample in samples]

    def attempt(rng: random.Random, case: int) -> None:
        number = case % 2
        # JSON is YAML, too.
        content = damaged_json(rng, trees[number]) if rng.random() < 0.5 else texts[number]
        path.write_bytes(damaged(rng, content) if content is texts[number] else content)
        read_pipeline(path)

    return attempt


KINDS: dict[str, Callable[[Path], Callable]] = {
    "flatbuffers": _flatbuffers,
    "checkpoints": _checkpoints,
    "archives": _archives,
    "models": _models,
    "annotations": _annotations,
    "sessions": _sessions,
    "images": _images,
    "pipelines": _pipelines,
}


if __name__ == "__main__":
    tempfile.tempdir = sys.argv[5]
    # A damaged model may ask for layers of any size; this machine is not to run out of memory.
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
