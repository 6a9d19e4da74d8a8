"""Operators that TFLM runs and no kernel does; of some the tensors are checked."""

from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import binary, unary

CHECKED = (
    Op("LOGISTIC", "AddLogistic", unary.check),
    Op("SUB", "AddSub", binary.check, (2, 2), "SubOptions"),
)
UNCHECKED = (
    Op("EXPAND_DIMS", "AddExpandDims"),
    Op("LEAKY_RELU", "AddLeakyRelu"),
    Op("PACK", "AddPack"),
    Op("PADV2", "AddPadV2"),
    Op("PRELU", "AddPrelu"),
    Op("RESIZE_NEAREST_NEIGHBOR", "AddResizeNearestNeighbor"),
    Op("SLICE", "AddSlice"),
    Op("SPLIT", "AddSplit"),
    Op("SPLIT_V", "AddSplitV"),
    Op("SQUEEZE", "AddSqueeze"),
    Op("STRIDED_SLICE", "AddStridedSlice"),
    Op("TANH", "AddTanh"),
    Op("TRANSPOSE", "AddTranspose"),
    Op("TRANSPOSE_CONV", "AddTransposeConv"),
    Op("UNPACK", "AddUnpack"),
)
