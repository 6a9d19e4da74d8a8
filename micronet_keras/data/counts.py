"""How many there are of each class, for people to read and for weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from micronet_keras.data.sources import Source

# So many classes are all named.
_NAMED = 20


def class_counts(source: Source, split: str) -> dict[str, int]:
    """Images of each class in a split, in the order of `source.class_names`.

    Raises:
        UserError: no such split, or its images have no labels.

    Example:

    >>> class_counts(source, "train")
    {'green': 30, 'red': 30}
    """
    counts = np.zeros(len(source.class_names), np.int64)
    for labels in source.labels(split).batch(4096).as_numpy_iterator():
        # A label that names no class is for others to complain of.
        known = labels[(labels >= 0) & (labels < len(counts))]
        counts += np.bincount(known, minlength=len(counts))
    return dict(zip(source.class_names, map(int, counts), strict=True))


def balanced_weights(counts: Mapping[str, int]) -> np.ndarray:
    """What an example of each class weighs when all classes shall weigh the same.

    Args:
        counts: by class, as of `class_counts`.

    Returns:
        float32 [classes]: their mean over the examples is 1; 0 for a class without examples.

    Example:

    >>> balanced_weights({"rare": 1, "common": 4}).tolist()
    [2.5, 0.625]
    """
    number = np.array(list(counts.values()), np.float64)
    there = number > 0
    weights = np.divide(number.sum(), there.sum() * number, out=np.zeros_like(number), where=there)
    return weights.astype(np.float32)


def counts_line(counts: Mapping[str, int], what: str) -> str:
    """One line on how many there are of each class, and of which there is none.

    Example:

    >>> counts_line({"cat": 30, "dog": 4, "cow": 0}, "images")
    '34 images: 30 cat, 4 dog; none of cow'
    """
    there = {name: count for name, count in counts.items() if count}
    missing = [name for name in counts if name not in there]
    text = f"{sum(counts.values())} {what}"
    if len(there) > _NAMED:
        fewest, most = (pick(there, key=there.__getitem__) for pick in (min, max))
        text += (
            f" of {len(there)} classes, from {there[fewest]} ({fewest}) to {there[most]} ({most})"
        )
    elif there:
        text += ": " + ", ".join(f"{count} {name}" for name, count in there.items())
    if missing:
        text += "; none of " + ", ".join(missing[:_NAMED]) + (", ..." if missing[_NAMED:] else "")
    return text
