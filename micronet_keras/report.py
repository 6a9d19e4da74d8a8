"""A run on one page: how it was trained, where it errs, what int8 costs it, where it fits."""

from __future__ import annotations

import base64
import csv
import html
import io
import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from micronet_keras.compare import compare_forms
from micronet_keras.data import Source
from micronet_keras.lower import lower
from micronet_keras.models import profile
from micronet_keras.quantize import debug_quantization
from micronet_keras.quantize.quantize import NORMALIZATION, calibration_images
from micronet_keras.tasks import CLASSIFICATION, TASKS
from micronet_keras.tasks.figures import confusion_matrix
from micronet_keras.tasks.task import Measured, Runner, Task
from micronet_keras.train import plot_history, read_run
from micronet_keras.train.run import Run
from micronet_mcu.boards import benchmark
from micronet_mcu.errors import UserError
from micronet_mcu.files import check_writable, read_bytes, replacing
from micronet_mcu.shown import Shown, Table
from micronet_mcu.tflite import flatbuffer_bytes
from micronet_mcu.to_c import compile_model, draw_plan
from micronet_mcu.to_tflm.interpreter import Interpreter

# Pictures on the page, and how wide the largest are drawn.
_SAMPLES, _MISTAKES, _SIDE = 12, 24, 128
# Images on which tensors are compared.
_COMPARED = 8
# More classes than this make no readable matrix.
_MOST_CLASSES = 30
_MOST_PAIRS = 20

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f6f8fa; --accent: 9, 105, 218; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --soft: #1c2129; --accent: 68, 147, 248; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
nav a { margin-right: 0.9rem; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.6rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: 0.2rem 0.6rem; vertical-align: top; }
thead th { background: var(--soft); }
.matrix td { text-align: right; min-width: 2.6rem; }
.matrix th { font-weight: 400; text-align: left; }
.pictures { display: grid; gap: 0.8rem; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); }
.pictures figure { margin: 0; font-size: 0.85rem; }
.pictures img { width: 100%; image-rendering: pixelated; border-radius: 4px; display: block; }
.wrong img { outline: 3px solid #cf222e; } .right img { outline: 3px solid #1a7f37; }
svg { width: 100%; min-width: 38rem; height: auto; fill: currentColor; }
.plain { background: white; max-width: 100%; border-radius: 4px; }
pre { background: var(--soft); padding: 0.8rem; overflow-x: auto; border-radius: 4px; }
.note { opacity: 0.75; }
details summary { cursor: pointer; }
"""


def report(
    run: str | os.PathLike | Run,
    flatbuffer: Any = None,
    path: str | os.PathLike | None = None,
    *,
    limit: int | None = 500,
    board: str | None = "cortex-m4",
    source: Source | None = None,
    tasks: Mapping[str, Task] = TASKS,
) -> Path:
    """Writes what there is to know about a run into one self-contained HTML file.

    Curves, figures on the test split, for a classifier the confusion matrix, precision and recall
    of each class and its worst mistakes as pictures, the profile; with a flatbuffer the same of the
    int8 form beside it, the quantization debugger, the memory plan of the plain C and the boards
    that it fits on; the settings, and commands that give it again.

    Args:
        run: the folder that `train` wrote, or what `read_run` returned.
        flatbuffer: the int8 form of its model, see `micronet_mcu.tflite.flatbuffer_bytes`; None
            leaves out what is about int8.
        path: of the page; ``report.html`` in the run's folder when None. Replaced when it exists.
        limit: of examples that are looked at; None is all.
        board: an emulated board on which the plain C is counted, where its tools are installed;
            None does not count.
        source: instead of the run's dataset, see `Run.source`.
        tasks: the tasks that are known, by name.

    Returns:
        The path of the page.

    Raises:
        UserError: there is no such run, its dataset is missing, the flatbuffer is not of it, or the
            page cannot be written.

    Example:

    >>> report("out/m0", "out/m0/int8/model.tflite", board=None)
    PosixPath('out/m0/report.html')
    """
    run = read_run(run, tasks)
    target = Path(path) if path is not None else run.folder.folder / "report.html"
    check_writable(target)
    raw = None if flatbuffer is None else flatbuffer_bytes(flatbuffer)
    name = flatbuffer if isinstance(flatbuffer, str | os.PathLike) else "MODEL.tflite"
    model, data = run.model(), run.source(source)
    forms: dict[str, Runner] = {"float": model}
    if raw is not None:
        forms["int8"] = Interpreter(raw)
    parts = [_curves(run), *_answers(run, model, forms, data, raw, limit)]
    parts.append(("Profile", _details("each layer", profile(model))))
    if raw is not None:
        parts += [_noise(run, model, raw, data), *_plain_c(raw, board)]
    parts.append(("How it was made", _commands(run, None if raw is None else os.fspath(name))))
    title = f"{model.name} on {run.dataset}"
    with replacing(target) as temporary:
        temporary.write_text(_page(title, run, [part for part in parts if part[1]]), "utf-8")
    return target


_Part = tuple[str, str]


def _page(title: str, run: Run, parts: list[_Part]) -> str:
    anchors = {name: re.sub(r"\W+", "-", name.lower()) for name, _ in parts}
    links = " ".join(f'<a href="#{anchors[name]}">{html.escape(name)}</a>' for name, _ in parts)
    sections = "".join(
        f'<section><h2 id="{anchors[name]}">{html.escape(name)}</h2>{body}</section>'
        for name, body in parts
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><nav>{links}</nav>{_shown(run)}{sections}</body></html>\n"
    )


def _curves(run: Run) -> _Part:
    if not run.folder.history.is_file():
        return "Training", ""
    text = read_bytes(run.folder.history).decode("utf-8", "replace")
    try:
        rows = [
            {name: int(value) if name == "epoch" else float(value) for name, value in row.items()}
            for row in csv.DictReader(io.StringIO(text))
        ]
        figure = plot_history(rows, metric=run.task.monitor)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run.folder.history} is damaged ({error}); remove it") from error
    return "Training", _svg(figure)


def _answers(
    run: Run,
    model: Any,
    forms: dict[str, Runner],
    source: Source,
    raw: bytes | None,
    limit: int | None,
) -> list[_Part]:
    """What the forms of the model say on the test split."""
    split = run.config.training.test_split or run.config.training.validation_split
    if raw is not None:
        found = compare_forms(run.task, model, raw, source, run.config, split, limit=limit)
        measured, figures = found.measured, _shown(found)
    else:
        examples = run.task.examples(source, split, run.config)
        predict = run.task.predictor(model, run.config)
        measured = {"float": run.task.measure(predict, examples, run.config, limit)}
        rows = list(measured["float"].figures.items())
        figures = _wide(Table(("figure", "float"), [(n, _number(v)) for n, v in rows]))
    name = f"On the {split} split"
    last = list(forms)[-1]
    if run.task.name != CLASSIFICATION.name:
        return [(name, figures + _drawn(measured[last], f"{last}, {split}"))]
    images, labels = _pictures(run, source, split, limit)
    outputs = {form: result.outputs for form, result in measured.items()}
    parts = [(name, figures + _classes(outputs, labels, run.class_names))]
    answer = outputs[last]
    return [*parts, *_mistakes(images, labels, answer, run.class_names, last)]


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"


def _pictures(
    run: Run, source: Source, split: str, limit: int | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """The images of the split in the order in which they were measured, and their labels."""
    examples = run.task.examples(source, split, run.config)
    batches = run.task.batches(examples, run.config, training=False)
    batches = batches.unbatch().take(limit or -1)
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return list(images), np.array(labels)


def _classes(outputs: Mapping[str, Any], labels: np.ndarray, names: list[str]) -> str:
    """Precision and recall of each class in each form, and the last form's confusion matrix."""
    columns: list[list[Any]] = [list(names), list(np.bincount(labels, minlength=len(names)))]
    head = ["class", "images"]
    for form, answers in outputs.items():
        counts = confusion_matrix(answers, labels)
        right = np.diag(counts)
        for what, of in (("precision", counts.sum(axis=0)), ("recall", counts.sum(axis=1))):
            head.append(f"{form} {what}, %")
            columns.append([100 * r / n if n else None for r, n in zip(right, of, strict=True)])
    columns[1] = [int(count) for count in columns[1]]
    columns[2:] = [[None if v is None else float(v) for v in c] for c in columns[2:]]
    table = Table(tuple(head), list(zip(*columns, strict=True)))
    return _wide(table) + _matrix(counts, names, form)


def _matrix(counts: np.ndarray, names: list[str], form: str) -> str:
    title = f"<h3>Confusion matrix, {form}: a row is a true class, a column what was said</h3>"
    if len(names) > _MOST_CLASSES:
        off = counts - np.diag(np.diag(counts))
        order = np.argsort(-off, axis=None)[:_MOST_PAIRS]
        pairs = [divmod(int(place), len(names)) for place in order if off.flat[place]]
        rows = [(names[true], names[said], int(off[true, said])) for true, said in pairs]
        return _wide(Table(("true", "said", "images"), rows, "what is confused most"))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(
            f'<td style="background: rgba(var(--accent), {0.75 * share:.2f})">{count or ""}</td>'
            for count, share in zip(row, line, strict=True)
        )
        + "</tr>"
        for name, row, line in zip(names, counts, shares, strict=True)
    )
    table = f'<table class="matrix"><tr><th></th>{head}</tr>{body}</table>'
    return f'{title}<div class="wide">{table}</div>'


def _mistakes(
    images: list[np.ndarray], labels: np.ndarray, outputs: Any, names: list[str], form: str
) -> list[_Part]:
    """Some answers, and those that are wrong and sure of it."""
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    said = outputs.argmax(axis=-1)
    some = np.linspace(0, len(labels) - 1, min(_SAMPLES, len(labels))).astype(int)
    wrong = np.flatnonzero(said != labels)
    # The more the true class lags behind, the worse.
    gaps = chances[wrong, said[wrong]] - chances[wrong, labels[wrong]]
    worst = wrong[np.argsort(-gaps, kind="stable")][:_MISTAKES]

    def pictures(places: np.ndarray) -> str:
        cells = []
        for place in places:
            right = said[place] == labels[place]
            chance = f"{chances[place, said[place]]:.0%}"
            text = f"{names[said[place]]}, {chance}"
            text = f"right: {text}" if right else f"said {text}; is {names[labels[place]]}"
            cells.append(
                f'<figure class="{"right" if right else "wrong"}">'
                f'<img alt="{html.escape(text)}" src="{_image(images[place])}">'
                f"<figcaption>{html.escape(text)}</figcaption></figure>"
            )
        return f'<div class="pictures">{"".join(cells)}</div>'

    count = f"<p>{len(wrong)} of {len(labels)} images are taken for something else.</p>"
    return [
        (f"Some answers, {form}", pictures(some)),
        (f"The worst mistakes, {form}", count + (pictures(worst) if len(worst) else "")),
    ]


def _noise(run: Run, model: Any, raw: bytes, source: Source) -> _Part:
    graph = lower(model, NORMALIZATION[run.config.training.preprocessing])
    images = calibration_images(run.task, source, run.config, _COMPARED)
    found = debug_quantization(graph, raw, images, _COMPARED)
    return "What int8 costs", f"{_svg(found.plot())}{_details('tensors', found)}"


def _plain_c(raw: bytes, board: str | None) -> list[_Part]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            compiled = compile_model(raw, Path(folder, "c"))
        except UserError as error:
            return [("As plain C", f'<p class="note">{html.escape(str(error))}</p>')]
        picture = draw_plan(compiled.program)
    parts = [("Memory over time", f'<div class="wide">{_png(picture)}</div>')]
    if board is None:
        return parts
    try:
        return [*parts, ("Boards", _shown(benchmark(raw, [board])))]
    except UserError as error:
        return [*parts, ("Boards", f'<p class="note">not counted: {html.escape(str(error))}</p>')]


def _commands(run: Run, flatbuffer: str | None) -> str:
    """The settings, and commands that repeat what comes after the training."""
    settings = run.folder.read_settings()
    rows = [(".".join(name), str(value)) for name, value in _flat(settings)]
    folder = shlex.quote(os.fspath(run.folder.folder))
    lines = [f"micronet quantize {folder}"]
    if flatbuffer is not None:
        file = shlex.quote(flatbuffer)
        lines += [
            f"micronet evaluate {folder} --tflite={file}",
            f"micronet benchmark {file}",
            f"micronet report {folder} --tflite={file}",
        ]
    else:
        lines.append(f"micronet report {folder}")
    settings_table = _wide(Table(("setting of the training", "value"), rows))
    commands = html.escape("\n".join(lines))
    return f"<pre>{commands}</pre><details><summary>settings</summary>{settings_table}</details>"


def _flat(settings: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[tuple[Any, Any]]:
    flat: list[tuple[Any, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat += _flat(value, (*above, name))
        else:
            flat.append(((*above, name), value))
    return flat


def _details(label: str, shown: Shown) -> str:
    """The facts, and behind a click the tables."""
    facts = Table(("", ""), shown.facts())
    tables = "".join(map(_wide, shown.tables()))
    rest = f"<details><summary>{html.escape(label)}</summary>{tables}</details>" if tables else ""
    return _wide(facts) + rest


def _shown(shown: Shown) -> str:
    return _wide(Table(("", ""), shown.facts())) + "".join(map(_wide, shown.tables()))


def _wide(table: Table) -> str:
    return f'<div class="wide">{table._repr_html_()}</div>'


def _svg(figure: Figure) -> str:
    """The figure in the page itself, black being the text's colour, light or dark."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"fill: #ffffff(; opacity: 0\.8)?", "fill: none", svg)
    return f'<div class="wide">{svg.replace("#000000", "currentColor")}</div>'


def _png(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<img class="plain" alt="" src="data:image/png;base64,{encoded}">'


def _drawn(measured: Measured, title: str) -> str:
    """The task's own picture."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "picture.png")
        measured.draw(file, title)
        encoded = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<div class="wide"><img class="plain" alt="{html.escape(title)}" '
        f'src="data:image/png;base64,{encoded}"></div>'
    )


def _image(pixels: np.ndarray) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
