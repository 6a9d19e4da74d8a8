"""The notebooks run, at a small setting, and are as short as they say."""

import ast
import json
import re

import numpy as np
import optional
import picture_folders
import pytest
from eager import eagerly
from paths import ROOT
from PIL import Image

# A notebook has no more lines of Python than this.
MOST_LINES = 12


def code(name):
    cells = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(name, **settings):
    """Runs the cells with other settings; what the last expression of each shows."""
    names, values = ", ".join(settings), ", ".join(map(str, settings.values()))
    namespace, shown = {}, []
    *trainings, looking = code(name)
    with eagerly():
        for cell in trainings:
            cell = re.sub(rf"^{names} = .*$", f"{names} = {values}", cell, flags=re.MULTILINE)
            shown += run_cell(cell, namespace)
    assert namespace["SIZE"] == settings["SIZE"]
    return [*shown, *run_cell(looking, namespace)]


def run_cell(cell, namespace):
    *statements, last = ast.parse(cell).body
    exec(compile(ast.Module(statements, []), "cell", "exec"), namespace)
    if isinstance(last, ast.Expr):
        return [eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)]
    exec(compile(ast.Module([last], []), "cell", "exec"), namespace)
    return []


@pytest.mark.parametrize("name", ["quickstart.ipynb", "detection.ipynb"])
def test_a_notebook_is_short(name):
    lines = [line for cell in code(name) for line in cell.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES + 2  # What only shows something.
    assert max(map(len, lines)) <= 120
    assert not re.search(r"/home|/tmp|/work", "".join(lines))


@pytest.mark.slow
def test_quickstart(tmp_path, monkeypatch):
    optional.require("arm-none-eabi-gcc", "qemu-system-arm")
    monkeypatch.chdir(tmp_path)
    picture_folders.red_and_green(tmp_path / "photos")
    source, *_, report, profile = run("quickstart.ipynb", SIZE=32, EPOCHS=1)
    assert source.class_names == list(report.quantized.class_names) == ["green", "red"]
    assert report.cost.instructions > 100_000 and "does it fit?" in report._repr_html_()
    assert (tmp_path / "out" / "board" / "c" / "model.c").exists()
    assert profile.input_shape == (32, 32, 3)


def scenes(folder):
    """Squares on noise, with their boxes as YOLO has them."""
    random = np.random.default_rng(0)
    (folder / "data.yaml").parent.mkdir(parents=True)
    (folder / "data.yaml").write_text("names: [square]\n")
    for split, count in (("train", 8), ("valid", 4), ("test", 4)):
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 90, (64, 64, 3)).astype("uint8")
            x, y = random.integers(0, 40, 2)
            pixels[y : y + 24, x : x + 24] = 220
            Image.fromarray(pixels).save(folder / split / "images" / f"{number}.png")
            box = f"0 {(x + 12) / 64} {(y + 12) / 64} {24 / 64} {24 / 64}\n"
            (folder / split / "labels" / f"{number}.txt").write_text(box)


@pytest.mark.slow
def test_detection(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scenes(tmp_path / "scenes")
    source, result, report, page = run("detection.ipynb", SIZE=64, EPOCHS=1, BATCH=4)
    assert source.splits == {"train": 8, "validation": 4, "test": 4}
    assert "test_AP" in result.summary
    assert (tmp_path / "out" / "board" / "model_detector.h").exists()
    text = page.read_text()
    assert "What int8 costs" in text and str(report.arena_bytes)[:2] in text
