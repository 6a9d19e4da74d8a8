"""How well two ways of running a model agree, and how often each is right."""

from __future__ import annotations

import numpy as np


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows of `outputs` [n, classes] whose largest entry is at the label [n]; 0 to 1."""
    return float(np.mean(np.argmax(outputs, axis=-1) == labels))


def agreement(outputs: np.ndarray, others: np.ndarray) -> float:
    """Share of rows in which both [n, classes] have the largest entry in the same place; 0 to 1."""
    return accuracy(outputs, np.argmax(others, axis=-1))


def signal_to_noise(reference: np.ndarray, outputs: np.ndarray) -> float:
    """SQNR in dB: power of `reference` over power of the difference; inf when they are equal."""
    noise = np.sum(np.square(np.subtract(reference, outputs, dtype=np.float64)))
    signal = np.sum(np.square(reference, dtype=np.float64))
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(signal / noise)) if noise else float("inf")


def confusion_matrix(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts [true class, predicted class] of outputs [n, classes] against labels [n]."""
    classes = outputs.shape[-1]
    cells = labels.astype(np.int64) * classes + np.argmax(outputs, axis=-1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
