"""What the examples of docstrings and READMEs may use without making it.

Beside the names of their own module, the imports in MODULES, the values in READY and, in the
current folder, the files in FILES. Each is made once, when the first example asks for it.
"""

import functools
import importlib
import shutil
from pathlib import Path
from types import MappingProxyType

import picture_folders
import tiny_tflite
from paths import DATA

MODULES = MappingProxyType(
    {
        "keras": "keras",
        "micronet_keras": "micronet_keras",
        "micronet_mcu": "micronet_mcu",
        "np": "numpy",
        "tf": "tensorflow",
    }
)


@functools.cache
def images(size=32):
    """uint8 [8, 32, 32, 3]; on a page, of 96 x 96 pixels."""
    import small_micronet

    return small_micronet.images(8, size)


@functools.cache
def labels():
    """int64 [8], of four classes."""
    return importlib.import_module("numpy").arange(8) % 4


def model():
    """A Keras classifier of 32 x 32 pixels and four classes with every kind of block."""
    import small_micronet

    return small_micronet.small_micronet()


@functools.cache
def quantized():
    """`model`, calibrated."""
    from micronet_keras.quantize import post_training_quantize

    return post_training_quantize(model(), [images()])


@functools.cache
def flatbuffer():
    """The bytes of an int8 classifier of 32 x 32 pixels and four classes."""
    return tiny_tflite.small_micronet(size=32, classes=4)


@functools.cache
def detector():
    """The bytes of an int8 network with a detector's outputs: 8 x 8 places, two classes."""
    tiny = tiny_tflite.TinyModel(0)
    x = tiny.conv(tiny.input((1, 32, 32, 3)), 8, (4, 4), (4, 4))
    return tiny.build(tiny.conv(x, 2), tiny.conv(x, 4))


def interpreter():
    """`flatbuffer` on TFLM."""
    from micronet_mcu.to_tflm import Interpreter

    return Interpreter(flatbuffer())


def image():
    """An input of `flatbuffer`: int8 [1, 32, 32, 3]."""
    return importlib.import_module("numpy").zeros((1, 32, 32, 3), "int8")


def source():
    """The folder `pictures` as a dataset: two classes, for classification."""
    from micronet_keras.data import load_dataset

    return load_dataset("pictures")


def scenes():
    """A dataset of drawn people with boxes and keypoints, two in each split."""
    import stick_figures

    return stick_figures.figures(train=2, validation=2, test=2)


READY = MappingProxyType(
    {
        made.__name__: made
        for made in (
            images,
            labels,
            model,
            quantized,
            flatbuffer,
            detector,
            interpreter,
            image,
            source,
            scenes,
        )
    }
)

_COCO = DATA / "keypoints" / "coco_people.json"
_MAIN_C = '#include "board.h"\nint main(void) { return 0; }\n'


def finished_run(folder: Path) -> None:
    """A run of `small_micronet` on the two classes of `pictures`, and its int8 form."""
    import small_micronet
    from small_run import make_run

    from micronet_keras.quantize import convert, post_training_quantize

    pictures = folder.parents[1] / "pictures"
    if not pictures.exists():
        picture_folders.red_and_green(pictures)
    trained = small_micronet.small_micronet(classes=2)
    make_run(folder, trained, pictures)
    (folder / "int8").mkdir()
    int8 = convert(post_training_quantize(trained, [images()]))
    (folder / "int8" / "model.tflite").write_bytes(int8)


FILES = MappingProxyType(
    {
        "model.tflite": lambda path: path.write_bytes(flatbuffer()),
        "quantized.npz": lambda path: quantized().save(path),
        "pictures": lambda path: picture_folders.red_and_green(path),
        "out/m0": finished_run,
        "person_keypoints_val2017.json": lambda path: shutil.copyfile(_COCO, path),
        "main.c": lambda path: path.write_text(_MAIN_C),
    }
)


def prepare(folder: Path, text: str, names: set[str]) -> dict:
    """Puts the files that `text` mentions into `folder`; returns the values of those `names`."""
    wanted = names | ({"pictures"} if "source" in names else set())
    for file, make in FILES.items():
        if file in text or file in wanted:
            make(folder / file)
    modules = {name: importlib.import_module(MODULES[name]) for name in names & set(MODULES)}
    return {"Path": Path, **modules, **{name: READY[name]() for name in names & set(READY)}}
