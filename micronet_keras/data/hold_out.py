"""Parts of a split, chosen by the numbers of its records, before anything is decoded."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from micronet_keras.data.sources import Source
from micronet_mcu.errors import UserError


def hold_out_validation(
    source: Source, train_split: str, validation_split: str, every: int
) -> Source:
    """`source`, with a validation split set aside from the training split where it has none.

    Every so many-th record of the training split, beginning with the first, goes to the validation
    split, the others stay: the same ones in every run.

    Args:
        source: a dataset with the training split.
        train_split, validation_split: names of the splits.
        every: 2 or more; 0 sets nothing aside.

    Raises:
        UserError: one of the splits does not exist and cannot be made.
    """
    wanted = {"train_split": train_split}
    if not every:
        wanted["validation_split"] = validation_split
    for flag, split in wanted.items():
        if split not in source.splits:
            raise UserError(
                f"dataset {source.name} has no split {split!r}; choose --{flag} among: "
                + ", ".join(source.splits)
            )
    if validation_split in source.splits:
        return source

    def parted(whole):
        def read(split):
            records = whole(train_split if split == validation_split else split)
            if split not in (train_split, validation_split):
                return records
            for_validation = split == validation_split
            return _chosen(records, lambda number: (number % every == 0) == for_validation)

        return read

    count = source.splits[train_split]
    held_out = -(-count // every)
    splits = {**source.splits, train_split: count - held_out, validation_split: held_out}
    return _read_through(source, splits, parted)


def spread(source: Source, split: str, count: int) -> Source:
    """`source`, with so many records of a split, from all over it.

    Many datasets are ordered class by class, others deal the classes out in turn: neither the first
    records nor every so many-th one would be of all kinds. So the split is cut into as many pieces
    and gives one record of each, at a place that is drawn, the same in every run.

    Args:
        source: a dataset with this split.
        split: its name.
        count: 1 or more; a smaller split stays as it is.

    Example:

    >>> spread(source, "train", 10).splits["train"]
    10
    """
    total = source.splits[split]
    if count >= total:
        return source
    ends = np.arange(count + 1) * total // count
    taken = np.zeros(total, bool)
    taken[np.random.default_rng(0).integers(ends[:-1], ends[1:])] = True

    def thinned(whole):
        def read(name):
            records = whole(name)
            if name != split:
                return records
            return _chosen(records, lambda number: tf.gather(taken, number))

        return read

    return _read_through(source, {**source.splits, split: count}, thinned)


def _read_through(source: Source, splits: dict[str, int], part: Callable) -> Source:
    """`source` with other splits: `part` makes of a way to read one that leaves some out."""
    return dataclasses.replace(
        source,
        splits=splits,
        read=part(source.read),
        read_labels=source.read_labels and part(source.read_labels),
    )


def _chosen(records: tf.data.Dataset, belongs: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
    """The records whose number, from 0, belongs."""
    numbered = records.enumerate().filter(lambda number, record: belongs(number))
    return numbered.map(lambda number, record: record)
