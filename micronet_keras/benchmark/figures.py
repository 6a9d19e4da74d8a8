"""What a trained network costs and what int8 leaves of its accuracy."""

import keras

from micronet_keras import data
from micronet_keras.compare import compare_forms
from micronet_keras.quantize import convert, post_training_quantize
from micronet_keras.quantize.quantize import calibration_images
from micronet_keras.tasks import CLASSIFICATION, ClassificationConfig
from micronet_mcu.boards import benchmark
from micronet_mcu.errors import UserError

BOARD = "cortex-m4"
# Training images that give the ranges.
_CALIBRATION_IMAGES = 512


def measure(model: keras.Model, source: data.Source, recipe: ClassificationConfig) -> dict:
    """Quantizes a trained classifier after training and measures it as firmware would run it.

    Args:
        model: takes what `preprocess_input` returns.
        source: the dataset, with the recipe's splits.
        recipe: that of the training; its `test_split` is what accuracies are measured on, whole.

    Returns:
        Under `int8`: `images`, `accuracy` on TensorFlow Lite Micro, `float_accuracy` on the same
        images, `agreement` (shares from 0 to 1), `sqnr_db`, `flatbuffer_bytes`,
        `tflm_arena_bytes`. Under `cortex_m4`, of the compiled C on the emulated board, one
        inference: `instructions`, `sram_bytes`, `flash_bytes` (code and constants). What cannot be
        had is `{"missing": reason}`.
    """
    try:
        pixels = calibration_images(CLASSIFICATION, source, recipe, _CALIBRATION_IMAGES)
        flatbuffer = convert(post_training_quantize(model, pixels, source.class_names))
        found = compare_forms(CLASSIFICATION, model, flatbuffer, source, recipe).summary
    except UserError as error:
        reason = {"missing": str(error)}
        return {"int8": reason, "cortex_m4": reason}
    int8 = {
        "images": found["images"],
        "accuracy": found["int8_accuracy"],
        "float_accuracy": found["float_accuracy"],
        "agreement": found["agreement"],
        "sqnr_db": round(found["sqnr_db"], 2),
        "flatbuffer_bytes": found["flash_bytes"],
        "tflm_arena_bytes": found["arena_bytes"],
    }
    return {"int8": int8, "cortex_m4": _on_board(flatbuffer)}


def _on_board(flatbuffer: bytes) -> dict:
    try:
        cost = benchmark(flatbuffer, [BOARD])[BOARD]
    except UserError as error:  # An operator that is not compiled, no cross compiler, no QEMU.
        return {"missing": str(error)}
    return {
        "instructions": cost.instructions,
        "sram_bytes": cost.sram_bytes,
        "flash_bytes": cost.flash_code_bytes + cost.flash_data_bytes,
    }
