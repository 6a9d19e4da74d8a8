"""A validation split for datasets that have none."""

import dataclasses

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

    def read(split):
        records = source.read(train_split if split == validation_split else split)
        if split not in (train_split, validation_split):
            return records
        for_validation = split == validation_split

        def belongs(index, record):
            return (index % every == 0) == for_validation

        return records.enumerate().filter(belongs).map(lambda index, record: record)

    count = source.splits[train_split]
    held_out = -(-count // every)
    splits = {**source.splits, train_split: count - held_out, validation_split: held_out}
    return dataclasses.replace(source, splits=splits, read=read)
