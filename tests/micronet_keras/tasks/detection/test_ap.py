"""COCO's average precision of boxes, against what can be told by hand."""

import numpy as np
import pytest

from micronet_keras.tasks.detection.ap import GroundTruth, average_precision
from micronet_mcu.decode import Detections


def test_average_precision_by_hand():
    def truth(*boxes, crowd=False):
        boxes = np.array(boxes, float).reshape(-1, 4)
        return GroundTruth(boxes, np.zeros(len(boxes), int), np.full(len(boxes), crowd))

    def found(*boxes):
        boxes = np.array(boxes, float).reshape(-1, 4)
        scores = np.linspace(0.9, 0.5, len(boxes))
        return Detections(boxes, scores, np.zeros(len(boxes), int))

    box, other = (10, 10, 50, 50), (60, 60, 100, 100)
    perfect = average_precision([truth(box, other)], [found(box, other)], 1)
    assert perfect["AP"] == perfect["AP50"] == perfect["AP_medium"] == pytest.approx(1)
    assert perfect["AP_small"] is None and perfect["AP_large"] is None
    # IoU 0.8: right up to the threshold of 0.8, 7 of the 10 from 0.5 to 0.95.
    shifted = average_precision([truth(box)], [found((10, 10, 50, 42))], 1)
    assert shifted["AP50"] == shifted["AP75"] == pytest.approx(1)
    assert shifted["AP"] == pytest.approx(0.7)
    # One of two found: precision 1 up to a recall of one half, 51 of 101 places.
    assert average_precision([truth(box, other)], [found(box)], 1)["AP50"] == pytest.approx(
        51 / 101
    )
    nothing = average_precision([truth(box)], [found()], 1)
    assert nothing["AP50"] == 0 and nothing["AP_large"] is None
    assert average_precision([truth(box, crowd=True)], [found(box)], 1)["AP50"] is None
    with pytest.raises(ValueError, match="Received"):
        average_precision([], [found()], 1)
