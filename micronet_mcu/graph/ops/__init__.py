"""One file for each operator: what it demands of its tensors, its node, and the kernel's call.

`OPS` is the one table of them: the reader, the compiler, the op resolver and the documentation
read it.
"""

from micronet_mcu.graph.op import Op
from micronet_mcu.graph.ops import (
    add,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    fill,
    fully_connected,
    gather,
    hard_swish,
    maximum,
    mean,
    move,
    mul,
    pad,
    pool_2d,
    prelu,
    quantize,
    relu6,
    reshape,
    resize_bilinear,
    resize_nearest_neighbor,
    softmax,
    sub,
    tables,
    transpose_conv,
)

OPS: dict[str, Op] = {
    op.tflite: op
    for op in (
        add.OP,
        concatenation.OP,
        concatenation.PACK,
        conv_2d.OP,
        depthwise_conv_2d.OP,
        fill.FILL,
        fill.SHAPE,
        fully_connected.OP,
        gather.OP,
        hard_swish.OP,
        maximum.MAXIMUM,
        maximum.MINIMUM,
        mean.OP,
        mul.OP,
        *move.OPERATORS,
        pad.OP,
        pad.PADV2,
        pool_2d.AVERAGE,
        pool_2d.MAX,
        prelu.OP,
        quantize.DEQUANTIZE,
        quantize.QUANTIZE,
        quantize.RELU,
        relu6.OP,
        reshape.OP,
        resize_bilinear.OP,
        resize_nearest_neighbor.OP,
        softmax.OP,
        sub.OP,
        *tables.OPERATORS,
        transpose_conv.OP,
    )
}
COMPILED = tuple(sorted(name for name, op in OPS.items() if op.read))
