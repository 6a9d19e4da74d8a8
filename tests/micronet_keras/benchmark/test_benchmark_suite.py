"""Suite files: those of the package, and what is refused."""

import json

import pytest

from micronet_keras.benchmark import SUITES, Run, read_suite
from micronet_mcu.errors import UserError

TINY = {
    "title": "a test",
    "dataset": "somewhere",
    "recipe": {"image_size": 32, "epochs": 2, "learning_rate": 0.1},
    "search": {"learning_rates": [0.1, 0.2], "epochs": 1, "part": 2},
    "pairs": [["micronet_m0", "micronet_m1"]],
    "queue": [
        {"models": ["micronet_m0", "micronet_m1"], "variants": ["as_published"], "seeds": [0, 1]}
    ],
}


def write(folder, **changes):
    path = folder / "tiny.json"
    path.write_text(json.dumps({**TINY, **changes}))
    return path


def test_a_suite_lists_its_runs_in_order(tmp_path):
    suite = read_suite(write(tmp_path))
    assert suite.name == "tiny"
    assert suite.recipe.training.image_size == 32
    assert suite.search.learning_rates == (0.1, 0.2)
    assert suite.pairs == (("micronet_m0", "micronet_m1"),)
    assert suite.runs == (
        Run("micronet_m0", "as_published", 0),
        Run("micronet_m1", "as_published", 0),
        Run("micronet_m0", "as_published", 1),
        Run("micronet_m1", "as_published", 1),
    )
    assert suite.runs[2].name == "micronet_m0_as_published_seed1"


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.json")), ids=lambda path: path.stem)
def test_suites_of_the_package(path):
    suite = read_suite(path.stem)
    trained = {(run.model, run.seed) for run in suite.runs if run.variant == "as_published"}
    for pair in suite.pairs:
        seeds = [{seed for model, seed in trained if model == name} for name in pair]
        assert seeds[0] == seeds[1] != set(), f"{pair} needs the same seeds"
    # The pictures that choose the epoch are not those that the result is measured on.
    recipe = suite.recipe.training
    assert len({recipe.train_split, recipe.validation_split, recipe.test_split}) == 3


QUEUE = TINY["queue"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"recipe": {"learning_rat": 0.1}}, "unknown key 'learning_rat'"),
        ({"recipe": {"epochs": 0}}, "epochs must be"),
        ({"search": {"learning_rates": [0.1], "epochs": 1}}, "lacks 'part'"),
        ({"queue": [{**QUEUE, "seed": 1}]}, "unknown key 'seed'"),
        ({"queue": [{**QUEUE, "models": ["m9"]}]}, "models has no 'm9'"),
        ({"queue": [{**QUEUE, "variants": ["big"]}]}, "variants has no 'big'"),
        ({"queue": [QUEUE, QUEUE]}, "twice"),
        ({"pairs": [["micronet_m0", "m9"]]}, "pairs has no 'm9'"),
        ({"pairs": [["micronet_m0"]]}, "not enough values"),
    ],
)
def test_mistakes_in_a_suite_are_refused(tmp_path, changes, words):
    path = write(tmp_path, **changes)
    with pytest.raises(UserError, match=words) as error:
        read_suite(path)
    assert str(path) in str(error.value)


def test_no_such_suite(tmp_path):
    with pytest.raises(UserError, match="choose among.*classification"):
        read_suite("no_such")
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(UserError, match="broken.json is not a suite"):
        read_suite(path)
