"""A run on one page that needs no other file."""

from html.parser import HTMLParser

import keras
import pytest
from picture_folders import red_and_green
from small_run import make_run

import micronet_keras
from micronet_keras.data import load_dataset
from micronet_keras.lower import lower
from micronet_keras.report import report
from micronet_mcu.errors import UserError

HISTORY = "epoch,loss,accuracy,val_loss,val_accuracy\n1,2,0.4,2.1,0.3\n2,1,0.6,1.5,0.5\n"


class Page(HTMLParser):
    """Ids, links and what would be loaded from elsewhere; that tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.loaded, self.headings = [], set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        self.links += [values["href"]] if tag == "a" else []
        self.loaded += [values["src"]] if "src" in values else []
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.ids.add(dict(attributes).get("id"))

    def handle_data(self, data):
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder of a run, its flatbuffer): a classifier that takes every picture for the first."""
    folder = tmp_path_factory.mktemp("report")
    pictures = red_and_green(folder / "<b>pictures")
    pixels = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(pixels)
    x = keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, x, name="two")
    model.get_layer("logits").bias.assign([1e4, 0])
    written = make_run(folder / "run", model, pictures, preprocessing="none")
    (written / "history.csv").write_text(HISTORY)
    graph = lower(model, "pixels")
    quantized = micronet_keras.post_training_quantize(graph, load_dataset(pictures))
    (folder / "m.tflite").write_bytes(micronet_keras.convert(quantized))
    return written, folder / "m.tflite"


def test_the_page_holds_everything_itself(run):
    folder, flatbuffer = run
    path = report(folder, flatbuffer, board=None)
    assert path == folder / "report.html"
    text = path.read_text()
    page = Page(text)
    assert page.open == []
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.links) == len(page.headings) >= 8
    assert page.loaded and all(source.startswith("data:image/png") for source in page.loaded)
    assert "http" not in text.replace("http://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("https://matplotlib.org", "").replace("http://creativecommons.org", "")
    assert "<b>pictures" not in text and "&lt;b&gt;pictures" in text
    # All 12 pictures are taken for green: 6 are mistakes, and all shown.
    assert "6 of 12 images are taken for something else" in text
    assert text.count('class="wrong"') == 6 + 6 and text.count('class="right"') == 6
    assert "said green, 100%; is red" in text
    assert "Memory over time" in page.headings and "What int8 costs" in page.headings
    assert f"micronet evaluate {folder} --tflite={flatbuffer}" in text


def test_without_a_flatbuffer_it_is_of_float_alone(run, tmp_path):
    path = report(run[0], path=tmp_path / "page.html", limit=4)
    page = Page(path.read_text())
    assert page.headings[:2] == ["Training", "On the test split"]
    assert "Profile" in page.headings and "What int8 costs" not in page.headings


def test_a_page_that_cannot_be_written_is_known_at_once(run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        report(run[0], path=tmp_path / "file" / "page.html")
