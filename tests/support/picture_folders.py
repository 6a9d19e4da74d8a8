"""Small data sets: folders of painted pictures."""

from pathlib import Path

import numpy as np
from PIL import Image


def paint_folder(folder, classes, count, size=(20, 16)):
    """`count` images per class, each of a colour of its own."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            colour = (number * 60 % 256, index * 7 % 256, 90)
            Image.new("RGB", size, colour).save(folder / name / f"{index:03}.png")
    return folder


def red_and_green(folder: Path) -> Path:
    """Two classes that differ in colour; train and test, no validation."""
    random = np.random.RandomState(0)
    for split, count in (("train", 30), ("test", 6)):
        for channel, name in enumerate(("red", "green")):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.randint(0, 120, (36, 40, 3)).astype("uint8")
                pixels[..., channel] += 100
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    return folder
