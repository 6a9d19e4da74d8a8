"""Accuracy, agreement, signal-to-noise and confusion against numbers worked by hand."""

import numpy as np

from micronet_keras.tasks.confusion import plot_confusion
from micronet_keras.tasks.figures import accuracy, agreement, confusion_matrix, signal_to_noise

OUTPUTS = np.array([[3.0, 1, 0], [0, 2, 1], [0, 1, 5], [9, 8, 7]])


def test_accuracy_and_agreement():
    assert accuracy(OUTPUTS, np.array([0, 1, 2, 2])) == 0.75
    assert agreement(OUTPUTS, OUTPUTS * 2 + 1) == 1.0
    assert agreement(OUTPUTS, OUTPUTS[::-1]) == 0.5


def test_signal_to_noise():
    assert signal_to_noise(OUTPUTS, OUTPUTS) == float("inf")
    assert np.isclose(signal_to_noise(OUTPUTS, OUTPUTS * 0.9), 20)


def test_confusion_matrix_counts_true_against_predicted():
    counts = confusion_matrix(OUTPUTS, np.array([0, 1, 2, 2]))
    np.testing.assert_array_equal(counts, [[1, 0, 0], [0, 1, 0], [1, 0, 1]])


def test_confusion_picture(tmp_path):
    for classes in (3, 40):
        path = tmp_path / f"{classes}.png"
        names = [f"c{i}" for i in range(classes)]
        plot_confusion(path, "title", counts=np.eye(classes, dtype=int), class_names=names)
        assert path.read_bytes().startswith(b"\x89PNG")
