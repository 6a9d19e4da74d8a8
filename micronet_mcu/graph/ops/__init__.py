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
    fully_connected,
    gather,
    hard_swish,
    maximum,
    mean,
    mul,
    not_compiled,
    pad,
    pool_2d,
    quantize,
    relu6,
    reshape,
    resize_bilinear,
    softmax,
)

OPS: dict[str, Op] = {
    op.tflite: op
    for op in (
        add.OP,
        concatenation.OP,
        conv_2d.OP,
        depthwise_conv_2d.OP,
        fully_connected.OP,
        gather.OP,
        hard_swish.OP,
        maximum.MAXIMUM,
        maximum.MINIMUM,
        mean.OP,
        mul.OP,
        pad.OP,
        pool_2d.AVERAGE,
        pool_2d.MAX,
        quantize.DEQUANTIZE,
        quantize.QUANTIZE,
        quantize.RELU,
        relu6.OP,
        reshape.OP,
        resize_bilinear.OP,
        softmax.OP,
        *not_compiled.CHECKED,
        *not_compiled.UNCHECKED,
    )
}
COMPILED = tuple(sorted(name for name, op in OPS.items() if op.read))
