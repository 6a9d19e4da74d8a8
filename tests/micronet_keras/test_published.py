"""The README's tables are those of the file of measurements, which says where they are from."""

import json
import re

import pytest
from paths import ROOT

from micronet_keras.benchmark import published
from micronet_keras.benchmark.quantized_networks import NETWORKS

MEASURED = json.loads((ROOT / "benchmarks" / "readme.json").read_text())
README = (ROOT / "README.md").read_text()
PAGES = {"README.md": README, "quantization.md": (ROOT / "docs/quantization.md").read_text()}


def test_the_pages_show_what_was_measured():
    shown = re.findall(r"<!-- figures: (\w+) -->", "".join(PAGES.values()))
    assert sorted(shown) == sorted(published.TABLES)
    for page in PAGES.values():
        assert published.fill(page, MEASURED) == page


def test_what_is_not_measured_says_so():
    assert published.render("quantization", {}).count("not measured yet") == len(NETWORKS)
    with pytest.raises(KeyError):
        published.render("quantization", {"quantization_resnet8": {"figures": {}}})


def test_a_changed_figure_changes_the_table():
    changed = json.loads(json.dumps(MEASURED))
    changed["demo"]["figures"]["int8_accuracy"] = 0.5
    table = published.render("demo", changed)
    assert "50.0 %" in table and table not in README


@pytest.mark.parametrize("name", MEASURED)
def test_every_measurement_says_where_it_is_from(name):
    measured = MEASURED[name]
    assert set(measured) == {
        "command", "date", "kind", "environment", "flatbuffer_sha256", "figures",
    }  # fmt: skip
    assert measured["kind"] in published.KINDS
    assert measured["command"] and re.fullmatch(r"\d{4}-\d\d-\d\d", measured["date"])
    used = {n for _, rows in published.TABLES.values() for row in rows for n in row.measurements}
    assert name in used
    if measured["environment"] is not None and measured["kind"] == "flatbuffer":
        assert re.fullmatch("[0-9a-f]{64}", measured["flatbuffer_sha256"])


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (3267000, "M", "3.27M"),
        (79556, "KB", "79.6 KB"),
        (0.934, "%", "93.4 %"),
        (1234, ",", "1,234"),
    ],
)
def test_units(value, spec, text):
    assert published._Units().format(f"{{0:{spec}}}", value) == text
