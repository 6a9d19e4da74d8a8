"""OKS average precision on 14 annotated people of COCO, against what can be told by hand."""

import json

import numpy as np
import pytest
from paths import DATA

from micronet_keras.tasks.keypoints.oks import (
    annotations_of,
    keypoint_similarity,
    oks_average_precision,
    results_of,
)
from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON

TRUTH = json.loads((DATA / "keypoints/coco_people.json").read_text())
PEOPLE = [person for person in TRUTH["annotations"] if person["num_keypoints"]]


def perturbed(oks=1.0, direction=0.3, people=PEOPLE):
    """Results whose labelled keypoints are all so far off that each person has this OKS."""
    results = []
    for person in people:
        keypoints = np.array(person["keypoints"], float).reshape(-1, 3)
        distance = np.sqrt(-8 * np.log(oks) * np.square(COCO_PERSON.sigmas) * person["area"])
        keypoints[:, 0] += distance * np.cos(direction)
        keypoints[:, 1] += distance * np.sin(direction)
        results.append({"image_id": person["image_id"], "category_id": 1, "score": 0.9,
                        "keypoints": keypoints.ravel().tolist()})  # fmt: skip
    return results


def test_perfect_predictions_score_one():
    figures = oks_average_precision(TRUTH, perturbed())
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))


@pytest.mark.parametrize("oks, passed", [(0.97, 10), (0.92, 9), (0.72, 5), (0.52, 1), (0.4, 0)])
def test_known_perturbations_pass_the_thresholds_below(oks, passed):
    """With every person at one OKS, AP is the share of the thresholds 0.5, 0.55 .. 0.95 below."""
    figures = oks_average_precision(TRUTH, perturbed(oks))
    assert figures["AP"] == pytest.approx(passed / 10)
    assert figures["AP50"] == float(oks > 0.5) and figures["AP75"] == float(oks > 0.75)


def test_missing_people_cost_recall():
    """Half of the people found: interpolated precision is 1 up to a recall of one half."""
    figures = oks_average_precision(TRUTH, perturbed(people=PEOPLE[::2]))
    assert figures["AR"] == pytest.approx(0.5)
    assert figures["AP"] == pytest.approx(51 / 101)


def test_similarity_is_that_of_pycocotools():
    keypoints = np.array([person["keypoints"] for person in PEOPLE], float).reshape(-1, 17, 3)
    area = np.array([person["area"] for person in PEOPLE])
    for oks in (1.0, 0.85, 0.3):
        predicted = np.array([one["keypoints"] for one in perturbed(oks)]).reshape(-1, 17, 3)
        np.testing.assert_allclose(keypoint_similarity(predicted, keypoints, area), oks)


def test_our_own_people_make_the_same_figures():
    keypoints = np.array([person["keypoints"] for person in PEOPLE], float).reshape(-1, 17, 3)
    boxes = np.array([person["bbox"] for person in PEOPLE])
    boxes[:, 2:] += boxes[:, :2]
    truth = annotations_of(keypoints, boxes, np.array([person["area"] for person in PEOPLE]))
    predicted = np.array([one["keypoints"] for one in perturbed(0.72)]).reshape(-1, 17, 3)
    predicted[..., 2] = 0.5
    figures = oks_average_precision(truth, results_of(predicted, range(1, len(PEOPLE) + 1)))
    assert (figures["AP"], figures["AP50"]) == (pytest.approx(0.5), 1.0)
    tiny = annotations_of(keypoints, boxes, np.full(len(PEOPLE), 50.0))
    assert oks_average_precision(tiny, results_of(predicted[:1], [1]))["AP_large"] is None


def test_no_results_score_zero_and_wrong_ones_are_refused():
    assert oks_average_precision(TRUTH, [])["AP"] == 0
    unknown = perturbed()
    unknown[0]["image_id"] = 5
    with pytest.raises(ValueError, match=r"unknown images \[5\]"):
        oks_average_precision(TRUTH, unknown)
    with pytest.raises(ValueError, match="0 annotations"):
        oks_average_precision({**TRUTH, "annotations": []}, perturbed())
    with pytest.raises(ValueError, match="Received"):
        results_of(np.zeros((2, 17, 2)), [1, 2])
