"""What all forms of annotations have in common: pictures with objects, found in a folder."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from micronet_keras.data.decoding import IMAGE_SUFFIXES
from micronet_keras.data.folder import SPLIT_FOLDERS, divided, files_below
from micronet_keras.data.skeleton import Skeleton
from micronet_keras.data.with_pillow import upright_size
from micronet_mcu.errors import UserError

_SHOWN = 80


class BadRecord(Exception):
    """A record is left out; the message says why."""


@dataclasses.dataclass(frozen=True)
class Thing:
    """One object in a picture.

    Attributes:
        box: (top, left, bottom, right) relative to the picture, not judged.
        label: index of its class, not judged either.
        crowd: neither to be learnt nor to be counted as missed.
        keypoints: float [n, 3], x and y relative to the picture and visibility; None without.
        area: in pixels.
    """

    box: tuple[float, float, float, float]
    label: int
    crowd: bool = False
    keypoints: np.ndarray | None = None
    area: float = 0.0


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture and all that is annotated in it."""

    path: Path
    things: list[Thing] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Annotated:
    """A folder of pictures with annotations.

    Attributes:
        class_names: of the labels.
        splits: the pictures of each split.
        bad_records: by split, one line for each record that was left out.
        notes: one line each on what else was left out.
        skeleton: of the keypoints, where there are some.
    """

    class_names: list[str]
    splits: dict[str, list[Picture]]
    bad_records: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    skeleton: Skeleton | None = None


class Files:
    """The files of a folder, found by names as annotations write them.

    Only what is below the folder is ever found: an annotation must not reach files elsewhere.

    Raises:
        UserError: a folder in it cannot be read.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.all = list(files_below(folder))
        self.images = [path for path in self.all if path.suffix.lower() in IMAGE_SUFFIXES]
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for path in self.images:
            self._by_name.setdefault(path.name, []).append(path)
            self._by_stem.setdefault(path.stem, []).append(path)

    def ending_in(self, *suffixes: str) -> list[Path]:
        """The files with one of these endings, in any case."""
        return [path for path in self.all if path.suffix.lower() in suffixes]

    def image(self, name: str, annotation: Path) -> Path:
        """The image of a name, with folders or without, of this system or of Windows.

        Of several that are called so the one is taken that has most of the folders of the name,
        lies beside the annotation, or is of the same split.

        Raises:
            BadRecord: there is none, or several fit alike.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        return self._choose(self._by_name.get(parts[-1] if parts else "", []), name, annotation)

    def image_of(self, annotation: Path) -> Path:
        """The image that an annotation file is called after. Raises BadRecord as `image`."""
        return self._choose(self._by_stem.get(annotation.stem, []), annotation.stem, annotation)

    def split_of(self, path: Path) -> str | None:
        """The split that a file is of, by the folders that it lies in, the nearest first."""
        places = reversed(path.relative_to(self.folder).parts[:-1])
        return next(filter(None, map(split_named, places)), None)

    def note(self, bad: dict[str, list[str]], annotation: Path, problem: Exception) -> None:
        """Adds a line on an annotation file that is left out to those of its split."""
        split = self.split_of(annotation) or "train"
        bad.setdefault(split, []).append(f"{annotation.relative_to(self.folder)}: {problem}")

    def _choose(self, candidates: Sequence[Path], name: str, annotation: Path) -> Path:
        wanted = PurePosixPath(name.replace("\\", "/")).parts
        split = split_named(annotation.stem) or self.split_of(annotation)

        def fit(path: Path) -> tuple[int, bool, bool]:
            pairs = zip(reversed(path.parts), reversed(wanted), strict=False)
            common = next((i for i, (a, b) in enumerate(pairs) if a != b), len(wanted))
            return common, path.parent == annotation.parent, self.split_of(path) == split

        shown = name[:_SHOWN].encode(errors="replace").decode()
        best = max(map(fit, candidates), default=None)
        chosen = [path for path in candidates if fit(path) == best]
        if not chosen:
            raise BadRecord(f"there is no file {self.folder / shown}")
        if len(chosen) > 1:
            raise BadRecord(f"{len(chosen)} files are called {shown}")
        return chosen[0]

    def into_splits(
        self, pictures: Sequence[Picture]
    ) -> tuple[dict[str, list[Picture]], list[str]]:
        """Pictures by the split in their folders' names, or 80 / 10 / 10 % where none has one.

        Returns:
            (the pictures of each split, one line each on what was left out).
        """
        named: dict[str | None, list[Picture]] = {}
        for picture in pictures:
            named.setdefault(self.split_of(picture.path), []).append(picture)
        rest = named.pop(None, [])
        if not named:
            return (
                divided(rest, lambda picture: picture.path.relative_to(self.folder)),
                [],
            )
        notes = [f"{len(rest)} image(s) in no folder of a split"] if rest else []
        return {split: listed for split, listed in named.items() if split}, notes


def split_named(text: str) -> str | None:
    """The split that a word of a name says, as of train2017 or instances_val; None without."""
    words = re.findall("[a-z]+", text.casefold())
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), None)


def shown_size(path: Path, width: int | None, height: int | None) -> tuple[int, int]:
    """(width, height) that an annotation counts in; that of the file where it says none.

    Raises:
        BadRecord: the annotation is of the picture lying on its side, as it was before its EXIF
            orientation turned it; or nobody says a size.
    """
    found = upright_size(path)
    if not width or not height:
        if not found:
            raise BadRecord(f"neither the annotation nor {path.name} says a size")
        return found
    if found == (height, width) and width != height:
        raise BadRecord(
            f"the annotation is of {width} x {height} pixels, {path.name} is shown as "
            f"{height} x {width}: annotate the turned picture, or turn it for good"
        )
    return width, height


def refuse_shares(sizes: Iterable[float], where: Path, form: str) -> None:
    """Raises UserError when the sides of all boxes are shares where pixels are wanted."""
    longest = max(sizes, default=None)
    if longest is not None and longest <= 1:
        raise UserError(
            f"{where}: the boxes are shares of the image, none is longer than {longest:.3g}; "
            f"{form} has pixels: multiply them by width and height"
        )
