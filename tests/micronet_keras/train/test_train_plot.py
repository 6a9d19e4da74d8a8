"""The training curve is a picture of a sensible size that depends on the numbers."""

import numpy as np
import pytest
from PIL import Image

from micronet_keras.train.plot import plot_history
from micronet_mcu.errors import UserError


def _history(epochs):
    return [
        {
            "epoch": epoch + 1,
            "loss": 2 / (epoch + 1),
            "val_loss": 2.2 / (epoch + 1) + 0.02 * epoch,
            "accuracy": 1 - 0.8 / (epoch + 1),
            "val_accuracy": 1 - 0.85 / (epoch + 1) - 0.002 * epoch,
        }
        for epoch in range(epochs)
    ]


def test_picture(tmp_path):
    for epochs in (1, 12):
        plot_history(_history(epochs), tmp_path / f"{epochs}.png", title="M0 on shapes")
    pictures = [np.asarray(Image.open(tmp_path / f"{epochs}.png")) for epochs in (1, 12)]
    for picture in pictures:
        height, width = picture.shape[:2]
        assert width > 1000
        assert height > 400
    assert (pictures[0] != pictures[1]).any()


def test_another_metric(tmp_path):
    rows = [
        {key.replace("accuracy", "best_match"): value for key, value in row.items()}
        for row in _history(3)
    ]
    plot_history(rows, tmp_path / "match.png", metric="best_match")
    plot_history(_history(3), tmp_path / "accuracy.png")
    pictures = [(tmp_path / f"{name}.png").read_bytes() for name in ("match", "accuracy")]
    assert pictures[0] != pictures[1]


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        plot_history(_history(2), tmp_path / "file" / "curve.png")
