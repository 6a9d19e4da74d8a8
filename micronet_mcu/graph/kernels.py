"""The C kernels: one row for each function of `tflm/kernels`."""

from collections.abc import Iterable
from dataclasses import dataclass

from micronet_mcu.graph import structs
from micronet_mcu.graph.structs import Struct

# The folders of a kernel that has a form for every processor.
PROCESSORS = ("reference", "dsp", "helium")


@dataclass(frozen=True)
class Kernel:
    """One function of C.

    Attributes:
        name: of the function.
        params: the struct that its first argument points to, if any.
        files: that define it, below `tflm/kernels`: one, or one for each processor.
        custom_op: the operator of TFLM that runs it.
        calls: the names of other functions that it needs.
        part: whether it is only called by others.
        refuses: it returns a micronet_status, and may refuse parameters.
    """

    name: str
    params: Struct | None
    files: tuple[str, ...]
    custom_op: str | None = None
    calls: tuple[str, ...] = ()
    part: bool = False
    refuses: bool = False


def _kernel(
    name: str,
    params: Struct | None,
    *files: str,
    custom_op: str | None = None,
    calls: str = "",
    part: bool = False,
    refuses: bool = False,
) -> Kernel:
    """A row; `files` are "folder" or "folder/file", without micronet_ and .c."""
    paths = []
    for entry in files:
        folder, _, file = entry.partition("/")
        paths.append(f"{folder}/micronet_{file or name}.c")
    called = tuple(f"micronet_{other}" for other in calls.split())
    return Kernel(f"micronet_{name}", params, tuple(paths), custom_op, called, part, refuses)


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("conv2d", structs.CONV, *PROCESSORS, custom_op="MicroNetConv2D",
                calls="four_pixels single_pixels clamp", refuses=True),
        _kernel("conv2d_column_rgb", structs.CONV, *PROCESSORS,
                custom_op="MicroNetConv2DColumnRGB", calls="clamp", refuses=True),
        _kernel("conv2d_grouped_1x1", structs.CONV2D_GROUPED_1X1, *PROCESSORS,
                custom_op="MicroNetGroupedConv2D",
                calls="four_pixels single_pixels clamp"),
        _kernel("conv2d_plain", structs.CONV_PLAIN, "common/plain"),
        _kernel("depthwise", structs.CONV, *PROCESSORS,
                custom_op="MicroNetDepthwiseConv2D", refuses=True,
                calls="depthwise_along_an_axis depthwise_3x3 depthwise_1d clamp"),
        # The operator calls micronet_depthwise, which takes this kernel's layers as fast.
        _kernel("depthwise_1d", structs.CONV, "reference/depthwise", "dsp", "helium",
                custom_op="MicroNetDepthwiseConv2D", calls="depthwise_along_an_axis clamp",
                refuses=True),
        _kernel("in_bands", structs.CONV, "common", refuses=True),
        _kernel("depthwise_wide", structs.CONV, "common", refuses=True),
        _kernel("depthwise_plain", structs.CONV_PLAIN, "common/plain"),
        _kernel("fully_connected", structs.FULLY_CONNECTED, *PROCESSORS,
                custom_op="MicroNetFullyConnected", calls="clamp"),
        _kernel("dyshiftmax", structs.DYSHIFTMAX, "common",
                custom_op="MicroNetDYShiftMax", calls="dyshiftmax_apply", refuses=True),
        _kernel("average_pool", structs.POOL, *(f"{p}/pool" for p in PROCESSORS)),
        _kernel("max_pool", structs.POOL, *(f"{p}/pool" for p in PROCESSORS)),
        _kernel("global_average_pool", None, *PROCESSORS),
        _kernel("mean", structs.MEAN, "common"),
        _kernel("resize_bilinear", structs.RESIZE_BILINEAR, "common"),
        _kernel("add", structs.ADD, "reference", "helium", calls="clamp"),
        _kernel("add_plain", structs.BINARY, "common/elementwise"),
        _kernel("sub_plain", structs.BINARY, "common/elementwise"),
        _kernel("mul", structs.MUL, "reference", "helium", calls="clamp"),
        _kernel("mul_plain", structs.BINARY, "common/elementwise"),
        _kernel("maximum", None, "common/elementwise"),
        _kernel("minimum", None, "common/elementwise"),
        _kernel("lookup", None, "common"),
        _kernel("clamp", None, *PROCESSORS),
        _kernel("quantize", None, "common"),
        _kernel("dequantize", None, "common/quantize"),
        _kernel("softmax", structs.SOFTMAX, "common"),
        _kernel("gather_channels", None, "common/move"),
        _kernel("gather_blocks", None, "common/move"),
        _kernel("concatenate", None, "common/move"),
        _kernel("move", structs.MOVE, "common/walk"),
        _kernel("pad", structs.PAD, "common/move"),
        _kernel("prelu", structs.BINARY, "common"),
        # Parts of the above.
        _kernel("four_pixels", None, "dsp", part=True),
        _kernel("single_pixels", None, "dsp/four_pixels", part=True),
        _kernel("dyshiftmax_apply", structs.DYSHIFTMAX, *(f"{p}/dyshiftmax" for p in PROCESSORS),
                part=True),
        _kernel("depthwise_along_an_axis", structs.CONV, "dsp/depthwise_1d",
                calls="depthwise_lines clamp", part=True, refuses=True),
        _kernel("depthwise_3x3", structs.CONV, "dsp", "helium", part=True, refuses=True),
        _kernel("depthwise_lines", structs.CONV, "dsp", part=True, refuses=True),
    )
}  # fmt: skip

# The operators of TFLM that run them, each once.
CUSTOM_OPS = tuple(dict.fromkeys(row.custom_op for row in KERNELS.values() if row.custom_op))


def kernel(name: str) -> Kernel:
    """The row of micronet_<name>."""
    return KERNELS[f"micronet_{name}"]


def files_of(kernels: Iterable[Kernel]) -> set[str]:
    """The C files that these and all that they call need, below `tflm/kernels`.

    Example:

    >>> sorted(files_of([kernel("softmax")]))
    ['common/micronet_softmax.c']
    """
    needed, waiting = set(), list(kernels)
    while waiting:
        one = waiting.pop()
        if one not in needed:
            needed.add(one)
            waiting += [KERNELS[name] for name in one.calls]
    return {file for one in needed for file in one.files}
