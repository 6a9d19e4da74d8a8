"""Folders of pictures with boxes or keypoints, in the forms in which people store them."""

from __future__ import annotations

from pathlib import Path

from micronet_keras.data.annotated.coco import read_coco_folder
from micronet_keras.data.annotated.pictures import Annotated, Files
from micronet_keras.data.annotated.voc import read_voc_folder
from micronet_keras.data.annotated.yolo import read_yolo_folder
from micronet_keras.data.folder import left_out, require_folder
from micronet_mcu.errors import UserError

# What each kind of annotation may be stored as, the first that is there is taken.
_READERS = {
    "boxes": {
        "COCO JSON": lambda files: read_coco_folder(files, "boxes"),
        "Pascal VOC XML": read_voc_folder,
        "YOLO txt": read_yolo_folder,
    },
    "keypoints": {
        "COCO JSON with a category of keypoints": lambda files: read_coco_folder(files, "keypoints")
    },
}
KINDS = tuple(_READERS)


def read_annotated(folder: Path, kind: str) -> Annotated:
    """Finds the pictures of a folder and what is annotated in them.

    Args:
        folder: with COCO JSON, Pascal VOC XML or YOLO txt, see `coco`, `voc` and `yolo`.
        kind: "boxes" or "keypoints".

    Raises:
        UserError: no such folder, one that cannot be read, no annotations of this kind, or no
            images to them.
    """
    require_folder(folder)
    files = Files(folder)
    for read in _READERS[kind].values():
        found = read(files)
        if found:
            break
    else:
        raise UserError(
            f"{folder} has no {kind}: it needs images and {', '.join(_READERS[kind])}"
            + ("; without any it is for classification" if kind == "boxes" else "")
        )
    splits = {split: pictures for split, pictures in found.splits.items() if pictures}
    if not splits:
        first = next((lines[0] for lines in found.bad_records.values() if lines), "no images")
        raise UserError(f"{folder}: not one annotation can be used: {first}")
    notes = [left_out(folder, note) for note in found.notes]
    return Annotated(found.class_names, splits, found.bad_records, notes, found.skeleton)
