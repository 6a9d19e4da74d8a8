"""Tables and plots, from result files alone."""

import json
import re

import pytest
from paths import ROOT

from micronet_keras.benchmark import SUITES, fill_page, pair_table, plot, read_results, read_suite
from micronet_keras.benchmark.report import entries, table
from micronet_mcu.errors import UserError

PAGE = ROOT / "docs" / "claims.md"
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "tiny.json"
    names = ["micronet_m2", "mobilenet_v3_small_0.35"]
    content = {
        "title": "a test",
        "dataset": "somewhere",
        "recipe": {"epochs": 5},
        "pairs": [names],
        "queue": [{"models": names, "variants": ["as_published"], "seeds": [0, 1, 2]}],
    }
    path.write_text(json.dumps(content))
    return read_suite(path)


def record(model, seed, accuracy, **figures):
    return {
        "model": model,
        "variant": "as_published",
        "seed": seed,
        "state": "training" if accuracy is None else "finished",
        "recipe": {"learning_rate": 0.05, "epochs": 5},
        "figures": {"madds": 2_000_000, "parameters": 450_000, **figures},
        "history": [{}, {}],
        "result": {"test_accuracy": accuracy},
    }


MEASURED = {
    "int8": {"accuracy": 0.395},
    "cortex_m4": {"instructions": 5_250_000, "sram_bytes": 20_480, "flash_bytes": 1024},
}


def write(folder, *records):
    for content in records:
        name = f"{content['model']}_as_published_seed{content['seed']}.json"
        (folder / name).write_text(json.dumps(content))


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_table_has_mean_and_spread_and_what_is_not_there_yet(suite, tmp_path):
    write(
        tmp_path,
        record("micronet_m2", 0, 0.40, **MEASURED),
        record("micronet_m2", 1, 0.42),
        record("mobilenet_v3_small_0.35", 0, 0.44, cortex_m4={"missing": "an operator"}),
        record("mobilenet_v3_small_0.35", 1, None),
    )
    records = read_results(suite, tmp_path)
    assert [len(entry.records) for entry in entries(records)] == [2, 1]
    text = table(suite, records)
    ours, other = rows(text)
    assert ours == ["micronet_m2", "stride 2", "0, 1", "2.00M", "0.45M", "0.05",
                    "41.00 ± 1.41 %", "39.50 %", "5.25M", "20.0 KB", "1.0 KB"]  # fmt: skip
    assert other[6:] == ["44.00 %", "-", "not compiled", "not compiled", "not compiled"]
    assert "mobilenet_v3_small_0.35, stride 2 stem, seed 1: epoch 2 of 5" in text
    assert "No result file yet: 2 of 6 runs" in text


def test_a_pair_is_compared_seed_by_seed(suite, tmp_path):
    write(
        tmp_path,
        record("micronet_m2", 0, 0.40),
        record("micronet_m2", 1, 0.43),
        record("micronet_m2", 2, 0.90),
        record("mobilenet_v3_small_0.35", 1, 0.41),
        record("mobilenet_v3_small_0.35", 0, 0.41, madds=1_000_000),
    )
    ((_, _, madds, points, mean),) = rows(pair_table(suite, read_results(suite, tmp_path)))
    assert (madds, points, mean) == ("2.00 times", "-1.00, +2.00", "+0.50")


def test_a_pair_without_results_is_not_judged(suite, tmp_path):
    ((*_, mean),) = rows(pair_table(suite, read_results(suite, tmp_path)))
    assert mean == "-"


def test_a_page_is_filled_between_its_markers(suite):
    page = "# A page\n<!-- results: tiny -->\nold\n<!-- end -->\nwords\n<!-- pairs: tiny -->\n"
    with pytest.raises(UserError, match="2 markers"):
        fill_page(page, [(suite, [])])
    filled = fill_page(page + "<!-- end -->\n", [(suite, [])])
    assert "old" not in filled
    assert "\nwords\n" in filled
    assert "| network |" in filled
    assert "| pair |" in filled
    assert fill_page(filled, [(suite, [])]) == filled
    with pytest.raises(UserError, match="0 markers"):
        fill_page("# Nothing", [])


def test_a_plot_is_drawn(suite, tmp_path):
    records = [record("micronet_m2", 0, 0.40, **MEASURED), record("micronet_m2", 1, 0.42)]
    plot(suite, records, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_of_claims_says_what_the_result_files_say():
    page = PAGE.read_text(encoding="utf-8")
    suites = [read_suite(path.stem) for path in sorted(SUITES.glob("*.json"))]
    pairs = [(suite, read_results(suite, RESULTS / suite.name)) for suite in suites]
    names = set(re.findall(r"<!-- (?:results|pairs): (\w+) -->", page))
    assert names <= {suite.name for suite in suites}
    assert fill_page(page, pairs) == page, "run micronet train-suite --report=docs/claims.md"
