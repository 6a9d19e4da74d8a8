"""Object keypoint similarity (OKS) and the average precision over it, as pycocotools count them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from micronet_keras.tasks.keypoints.skeleton import COCO_PERSON

# As COCOeval.summarize lists them.
_NAMES = ("AP", "AP50", "AP75", "AP_medium", "AP_large",
          "AR", "AR50", "AR75", "AR_medium", "AR_large")  # fmt: skip


def oks_average_precision(
    ground_truth: dict, results: Sequence[dict], sigmas: Sequence[float] = COCO_PERSON.sigmas
) -> dict[str, float | None]:
    """AP over OKS thresholds 0.5, 0.55 .. 0.95, and its relatives.

    Args:
        ground_truth: the content of an annotation file of COCO, e.g. `json.load` of it or
            `annotations_of`.
        results: COCO's results: dicts of `image_id`, `category_id`, `keypoints` (three numbers
            each) and `score`.
        sigmas: of the keypoints, see `Skeleton`.

    Returns:
        `AP`, `AP50`, `AP75`, `AP_medium`, `AP_large` and the same with `AR` (average recall), 0 to
        1; None where no person has such a size (medium: an area of 32^2 to 96^2 pixels).

    Raises:
        ValueError: there are no annotations, or results for images that are not there.

    Example:

    >>> import json
    >>> truth = json.loads(Path("person_keypoints_val2017.json").read_text())
    >>> people = [p for p in truth["annotations"] if p["num_keypoints"]]
    >>> names = ("image_id", "category_id", "keypoints")
    >>> found = [{name: person[name] for name in names} | {"score": 1.0} for person in people]
    >>> round(oks_average_precision(truth, found)["AP"], 3)
    1.0
    """
    images = {image["id"] for image in ground_truth["images"]}
    unknown = {result["image_id"] for result in results} - images
    if unknown or not ground_truth["annotations"]:
        raise ValueError(
            "results must be for images of the ground truth, which must have annotations. "
            f"Received: unknown images {sorted(unknown)[:5]}, "
            f"{len(ground_truth['annotations'])} annotations"
        )
    if not results:
        return dict.fromkeys(_NAMES, 0.0)
    # pycocotools reports on standard output, and writes into what it is given.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            **ground_truth,
            "annotations": list(map(dict, ground_truth["annotations"])),
        }
        truth.dataset.setdefault("info", {})
        truth.createIndex()
        found = truth.loadRes([dict(result) for result in results])
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = map(float, evaluation.stats)
    return {name: value if value >= 0 else None for name, value in zip(_NAMES, values, strict=True)}


def keypoint_similarity(
    predicted: np.ndarray,
    keypoints: np.ndarray,
    area: np.ndarray,
    sigmas: Sequence[float] = COCO_PERSON.sigmas,
):
    """OKS of each person: 1 for a perfect answer, falling with the distance.

    Args:
        predicted: [n, keypoints, 2 or more], x and y in pixels.
        keypoints: [n, keypoints, 3], x, y and visibility.
        area: [n] in pixels.
        sigmas: [keypoints], see `Skeleton`.

    Returns:
        float [n]; the mean over the labelled keypoints of exp(-d^2 / (8 sigma^2 area)).
    """
    distance = np.square(predicted[..., :2] - keypoints[..., :2]).sum(-1)
    labelled = keypoints[..., 2] > 0
    similarity = np.exp(-distance / (8 * np.square(sigmas) * (area[:, None] + np.spacing(1))))
    return (similarity * labelled).sum(-1) / np.maximum(labelled.sum(-1), 1)


def annotations_of(keypoints: np.ndarray, boxes: np.ndarray, areas: np.ndarray) -> dict:
    """People, each in an image of its own, in the form of an annotation file of COCO.

    Args:
        keypoints: [n, keypoints, 3], x, y and visibility.
        boxes: [n, 4], left, top, right, bottom.
        areas: [n].
    """
    annotations = [
        {
            "id": i + 1,
            "image_id": i + 1,
            "category_id": 1,
            "keypoints": points.astype(float).ravel().tolist(),
            "num_keypoints": int((points[:, 2] > 0).sum()),
            "bbox": [float(v) for v in (*box[:2], *(box[2:] - box[:2]))],
            "area": float(area),
            "iscrowd": 0,
        }
        for i, (points, box, area) in enumerate(zip(keypoints, boxes, areas, strict=True))
    ]
    return {
        "images": [{"id": annotation["image_id"]} for annotation in annotations],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }


def results_of(predicted: np.ndarray, image_ids: Sequence[int]) -> list[dict]:
    """Predictions [n, keypoints, 3] (x, y, score) as results of COCO; a score is a mean."""
    if predicted.ndim != 3 or predicted.shape[2] != 3:
        raise ValueError(f"predictions must be [n, keypoints, 3]. Received: {predicted.shape}")
    return [
        {
            "image_id": int(image_id),
            "category_id": 1,
            "keypoints": points.astype(float).ravel().tolist(),
            "score": float(points[:, 2].mean()),
        }
        for points, image_id in zip(predicted, image_ids, strict=True)
    ]
