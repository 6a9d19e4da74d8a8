"""What results look like in a terminal and in a notebook, and what wrong arguments are told."""

import dataclasses
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
import small_micronet
import tensorflow as tf
from picture_folders import red_and_green
from small_run import make_run

import micronet_keras
import micronet_mcu
from micronet_keras.compare import Comparison
from micronet_keras.data import as_source, load_dataset
from micronet_keras.quantize import calibrate, post_training_quantize, quantize
from micronet_keras.tasks import CLASSIFICATION
from micronet_keras.train import TrainResult, read_run
from micronet_mcu.boards import Benchmark, BoardCost, StepCost
from micronet_mcu.errors import UserError
from micronet_mcu.graph.read import graph_of
from micronet_mcu.shown import Shown, Table, some_of
from micronet_mcu.to_c.host_runner import HostRunner
from micronet_mcu.to_tflm import prepare_flatbuffer

LONGEST = 2000
IMAGES = small_micronet.images(8)
LABELS = np.arange(8) % 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One of every result, by its class."""
    folder = tmp_path_factory.mktemp("made")
    model = small_micronet.small_micronet()
    names = [f"class {number}" for number in range(1000)]
    report = micronet_keras.deploy(model, (IMAGES, LABELS), folder / "board", board=None)
    interpreter = micronet_mcu.Interpreter(report)
    steps = [StepCost(f"layer{i}", "CONV_2D", "micronet_conv", 9, 9, 9, 9) for i in range(300)]
    cost = BoardCost(10**6, 10**5, 30_000, 400, 12_000, 10**6, steps, {"micronet_conv": 900})
    history = [{"epoch": epoch, "loss": 1 / 3} for epoch in range(600)]
    found = micronet_keras.compare(model, report, source=(IMAGES, LABELS))
    pictures = red_and_green(folder / "pictures")
    run = make_run(folder / "run", small_micronet.small_micronet(classes=2), pictures)
    many = dataclasses.replace(as_source(IMAGES, LABELS), class_names=names)
    results = [
        report,
        report.compiled,
        report.compiled.program,
        report.compiled.source,
        report.quantized,
        dataclasses.replace(report.quantized, class_names=tuple(names)),
        report.quantized.graph,
        interpreter,
        HostRunner(report),
        micronet_mcu.read_model(report),
        graph_of(micronet_mcu.read_model(report)),
        prepare_flatbuffer(report, interpreter.quantize(IMAGES[:1]), fuse="all"),
        micronet_mcu.export_firmware("host", report, folder / "host"),
        found,
        found.measured["int8"],
        cost,
        Benchmark({"cortex-m4": cost}),
        TrainResult(history, {"madds": 3}, True),
        many,
        CLASSIFICATION.examples(many, "train", None),
        read_run(run),
        micronet_keras.quantize_aware(model, IMAGES, engine="keras"),
        micronet_keras.profile(model),
        Table(("a", "b"), [("<b>", 1000)] * 1000),
    ]
    return {f"{type(result).__name__}{place}": result for place, result in enumerate(results)}


def test_results_print_short(made):
    texts = {name: repr(result) for name, result in made.items()}
    assert {name: len(text) for name, text in texts.items() if len(text) > LONGEST} == {}
    assert [name for name, text in texts.items() if " object at 0x" in text] == []
    assert max(len(text) for text in texts.values()) > 100


def test_a_notebook_shows_tables(made):
    shown = {name: result for name, result in made.items() if isinstance(result, Shown | Table)}
    assert len(shown) >= 17
    for name, result in shown.items():
        page = result._repr_html_()
        tags = Tags(page)
        assert tags.open == [], name
        assert tags.count["table"] >= 1 and tags.count["td"] >= 1, name
        assert str(result).strip() and "\n" not in repr(result), name


class Tags(HTMLParser):
    """Counts the tags of a page, and which are open at its end."""

    def __init__(self, page):
        super().__init__()
        self.open, self.count = [], {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_names_and_texts_are_not_taken_for_html():
    table = Table(("<i>", "n"), [("<script>", 1234567)])
    assert "<script>" not in table._repr_html_() and "&lt;script&gt;" in table._repr_html_()
    assert str(table) == "<i>               n\n<script>  1,234,567"
    assert table.csv() == "<i>,n\n<script>,1234567\n"
    assert some_of(["x" * 99]) == "x" * 27 + "..."


def test_own_images_are_compared(made):
    found = next(result for result in made.values() if isinstance(result, Comparison))
    assert found.summary["images"] == 8
    assert found.summary["agreement"] >= 0.75  # Of noise.
    assert "int8 accuracy" in str(found)


def test_images_of_a_tf_data_set_and_of_a_run_are_compared(made, tmp_path):
    model = small_micronet.small_micronet(classes=2)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS % 2)).batch(3)
    flatbuffer = micronet_keras.convert(post_training_quantize(model, data))
    (tmp_path / "m.tflite").write_bytes(flatbuffer)
    pictures = red_and_green(tmp_path / "pictures")
    run = make_run(tmp_path / "run", model, pictures)
    found = [
        micronet_keras.compare(run, flatbuffer, source=data),
        micronet_keras.compare(read_run(run), tmp_path / "m.tflite", source=(IMAGES, LABELS % 2)),
        micronet_keras.compare(model, micronet_mcu.read_model(flatbuffer), source=data),
    ]
    assert found[0].summary == found[1].summary == found[2].summary
    assert micronet_keras.compare(model, flatbuffer, source=load_dataset(pictures)).summary[
        "images"
    ] == len(list(pictures.glob("test/*/*")))


def test_a_source_calibrates_and_names_the_classes(tmp_path):
    source = load_dataset(red_and_green(tmp_path / "pictures"))
    model = small_micronet.small_micronet(classes=2)
    report = micronet_keras.deploy(model, source, tmp_path / "out", board=None)
    assert report.quantized.class_names == ("green", "red")
    assert '"green"' in (tmp_path / "out" / "model_data.cc").read_text()
    assert calibrate(report.quantized.graph, source) == report.quantized.ranges


def test_a_network_is_known_by_its_name():
    named = micronet_keras.MicroNet("m0", input_shape=(32, 32, 3), classes=2)
    assert named.count_params() == micronet_keras.MicroNetM0((32, 32, 3), classes=2).count_params()


MODEL = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: micronet_keras.MicroNet("m9"), "one of m0, m1, m2, m3. Received: 'm9'"),
        (lambda: micronet_keras.MicroNet(3), "one of m0, m1, m2, m3. Received: 3"),
        (lambda: micronet_keras.convert(MODEL), "first call post_training_quantize"),
        (lambda: micronet_keras.convert(3), "first call post_training_quantize"),
        (lambda: micronet_mcu.Interpreter(MODEL), "a flatbuffer is the path of a .tflite file"),
        (lambda: micronet_mcu.Interpreter("no.tflite"), "no.tflite: no such file"),
        (lambda: micronet_mcu.read_model(None), "Received: NoneType"),
        (lambda: micronet_mcu.compile_model(3, "out"), "a flatbuffer is the path"),
        (lambda: micronet_mcu.benchmark(3), "a flatbuffer is the path"),
        (lambda: micronet_mcu.benchmark("m.tflite", "esp32"), "no board is called 'esp32'"),
        (lambda: micronet_mcu.to_tflm.measure_arena(3), "a flatbuffer is the path"),
        (lambda: micronet_mcu.export_firmware("pico", 3, "out"), "a flatbuffer is the path"),
        (lambda: load_dataset((IMAGES, LABELS)), "go into as_source(images, labels)"),
        (lambda: as_source(3), "give (images, labels)"),
        (lambda: read_run(MODEL), "a run is the folder that train wrote"),
        (lambda: quantize(MODEL), "a run is the folder that train wrote"),
        (lambda: micronet_keras.compare(MODEL, b""), "source=(images, labels)"),
        (lambda: micronet_keras.deploy(3, IMAGES, "out"), "first call post_training_quantize"),
        (lambda: micronet_keras.post_training_quantize(3, IMAGES), "only a Keras model"),
        (lambda: post_training_quantize(MODEL, 3), "images must be an array"),
        (lambda: micronet_keras.models.count_madds(3), "Received: int"),
    ],
)
def test_a_wrong_type_is_answered_in_one_line(call, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, ValueError)) as caught:
        call()
    assert says in str(caught.value) and "\n" not in str(caught.value)
