"""Small int8 `.tflite` models for the tests, made without TensorFlow, with weights from a seed."""

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

_TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}
_ACTIVATIONS = schema.ActivationFunctionType


# Tables of options; the others have none, or need none.
_OPTIONS = {
    "ADD": "Add", "CONCATENATION": "Concatenation", "DEPTH_TO_SPACE": "DepthToSpace",
    "GATHER": "Gather", "LEAKY_RELU": "LeakyRelu", "MAXIMUM": "MaximumMinimum",
    "MINIMUM": "MaximumMinimum", "MUL": "Mul", "PACK": "Pack",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor", "SPACE_TO_DEPTH": "SpaceToDepth",
    "SPLIT": "Split", "SPLIT_V": "SplitV", "STRIDED_SLICE": "StridedSlice", "SUB": "Sub",
    "SVDF": "SVDF", "TRANSPOSE_CONV": "TransposeConv", "UNPACK": "Unpack",
}  # fmt: skip


class TinyModel:
    """Adds operators one by one; each method returns the index of its output tensor.

    Output scales are chosen so that random weights use most of the int8 range.
    """

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.tensors, self.buffers, self.operators = [], [schema.BufferT()], []
        self.codes, self.inputs, self.outputs = [], [], []
        self.initial = {}  # of variables, by name: (value, scale, zero point)

    def tensor(self, shape, scale=None, zero_point=0, dtype=np.int8, data=None, axis=0):
        tensor = schema.TensorT()
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = _TYPES[np.dtype(dtype)]
        tensor.name = f"t{len(self.tensors)}"
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            zero_points = np.zeros(quantization.scale.size, np.int64) + zero_point
            quantization.zeroPoint = zero_points
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def shape(self, index):
        return tuple(int(n) for n in self.tensors[index].shape)

    def scale(self, index):
        return float(self.tensors[index].quantization.scale[0])

    def zero_point(self, index):
        return int(self.tensors[index].quantization.zeroPoint[0])

    def input(self, shape, scale=0.02, zero_point=-3, dtype=np.int8):
        self.inputs.append(self.tensor(shape, scale, zero_point, dtype))
        return self.inputs[-1]

    def convert(self, x, scale=None, zero_point=0, dtype=np.int8):
        """QUANTIZE, or DEQUANTIZE to float32."""
        y = self.tensor(self.shape(x), scale, zero_point, dtype)
        return self.operator("DEQUANTIZE" if dtype == np.float32 else "QUANTIZE", [x], y)

    def operator(self, name, inputs, output, options=None, custom_code=None):
        code = getattr(schema.BuiltinOperator, name)
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
        entry.version, entry.customCode = 1, custom_code
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes)
        self.codes.append(entry)
        operator.inputs = list(inputs)
        operator.outputs = output if isinstance(output, list) else [output]
        if options is not None:
            kind = type(options).__name__[:-1]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.operators.append(operator)
        return output

    def integers(self, *values, shape=None):
        """A constant of int32."""
        data = np.asarray(values, np.int32)
        return self.tensor(data.shape if shape is None else shape, dtype=np.int32, data=data)

    def made(self, name, inputs, shape, scale=None, zero_point=None, **options):
        """Any operator; `options` are the fields of its table. Without a scale the output's is
        that of the first input that has one."""
        table = getattr(schema, _OPTIONS.get(name, "") + "OptionsT", None)
        table = table() if table else None
        for key, value in options.items():
            assert hasattr(table, key)
            setattr(table, key, value)
        x = next(i for i in inputs if self.tensors[i].quantization is not None)
        scale = self.scale(x) if scale is None else scale
        zero_point = self.zero_point(x) if zero_point is None else zero_point
        shapes = shape if isinstance(shape, list) else [shape]
        outputs = [self.tensor(one, scale, zero_point) for one in shapes]
        self.operator(name, inputs, outputs, table)
        return outputs if isinstance(shape, list) else outputs[0]

    def _filter(self, shape, channel_axis, per_channel=True, zero_taps=None):
        weights = self.rng.integers(-127, 128, shape, dtype=np.int8)
        if zero_taps is not None:
            weights[zero_taps] = 0
        count = shape[channel_axis] if per_channel else 1
        scales = self.rng.uniform(0.002, 0.01, count)
        return self.tensor(shape, scales, data=weights, axis=channel_axis), scales

    def _bias(self, x, scales, count):
        values = self.rng.integers(-800, 800, count)
        scale = self.scale(x) * np.broadcast_to(scales, count)
        return self.tensor((count,), scale, dtype=np.int32, data=values)

    def _gain(self, x, scales, terms):
        # Inputs and weights are uniform in +-128, so a sum of n products has this spread.
        return self.scale(x) * float(np.mean(scales)) * 73 * 73 * np.sqrt(terms) / 50

    def _out(self, shape, scale, activation):
        # A fused ReLU6 is given the scale of its full range, as converters do.
        if activation == "RELU6":
            return self.tensor(shape, 6 / 255, -128)
        return self.tensor(shape, scale, -128 if activation == "RELU" else self.rng.integers(-9, 9))

    def conv(self, x, channels, kernel=(1, 1), stride=(1, 1), groups=1, padding="SAME",
             activation="NONE", zero_taps=None, per_channel=True):  # fmt: skip
        batch, height, width, depth = self.shape(x)
        shape = (channels, *kernel, depth // groups)
        weights, scales = self._filter(shape, 0, per_channel, zero_taps)
        bias = self._bias(x, scales, channels)
        y = self._out(
            (batch, *_window((height, width), kernel, stride, padding), channels),
            self._gain(x, scales, np.prod(shape[1:])), activation)  # fmt: skip
        options = schema.Conv2DOptionsT()
        options.strideH, options.strideW = stride
        options.padding = getattr(schema.Padding, padding)
        options.fusedActivationFunction = getattr(_ACTIVATIONS, activation)
        return self.operator("CONV_2D", [x, weights, bias], y, options)

    def depthwise(self, x, kernel, stride=(1, 1), multiplier=1, padding="SAME",
                  activation="NONE", zero_taps=None):  # fmt: skip
        batch, height, width, depth = self.shape(x)
        channels = depth * multiplier
        weights, scales = self._filter((1, *kernel, channels), 3, True, zero_taps)
        bias = self._bias(x, scales, channels)
        y = self._out(
            (batch, *_window((height, width), kernel, stride, padding), channels),
            self._gain(x, scales, np.prod(kernel)), activation)  # fmt: skip
        options = schema.DepthwiseConv2DOptionsT()
        options.strideH, options.strideW = stride
        options.depthMultiplier = multiplier
        options.padding = getattr(schema.Padding, padding)
        options.fusedActivationFunction = getattr(_ACTIVATIONS, activation)
        return self.operator("DEPTHWISE_CONV_2D", [x, weights, bias], y, options)

    def dense(self, x, units, activation="NONE", per_channel=False, scale=None, zero_point=0,
              gain=1):  # fmt: skip
        depth = self.shape(x)[-1]
        weights, scales = self._filter((units, depth), 0, per_channel)
        bias = self._bias(x, scales, units)
        shape = (*self.shape(x)[:-1], units) if len(self.shape(x)) == 2 else (1, units)
        if scale is None:
            y = self._out(shape, self._gain(x, scales, depth) / gain, activation)
        else:
            y = self.tensor(shape, scale, zero_point)
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = getattr(_ACTIVATIONS, activation)
        return self.operator("FULLY_CONNECTED", [x, weights, bias], y, options)

    def pool(self, x, kernel=None, stride=None, padding="VALID", kind="AVERAGE_POOL_2D"):
        batch, height, width, depth = self.shape(x)
        kernel = kernel or (height, width)
        stride = stride or kernel
        size = _window((height, width), kernel, stride, padding)
        options = schema.Pool2DOptionsT()
        options.filterHeight, options.filterWidth = kernel
        options.strideH, options.strideW = stride
        options.padding = getattr(schema.Padding, padding)
        y = self.tensor((batch, *size, depth), self.scale(x), self.zero_point(x))
        return self.operator(kind, [x], y, options)

    def mean(self, x, axes=(1, 2), scale=None, zero_point=0, keep_dims=False):
        shape = [n for i, n in enumerate(self.shape(x)) if i not in axes]
        if keep_dims:
            shape = [1 if i in axes else n for i, n in enumerate(self.shape(x))]
        constant = self.tensor((len(axes),), dtype=np.int32, data=np.asarray(axes, np.int32))
        options = schema.ReducerOptionsT()
        options.keepDims = keep_dims
        y = self.tensor(shape, scale or self.scale(x), zero_point)
        return self.operator("MEAN", [x, constant], y, options)

    def resize(self, x, height, width, align_corners=False, half_pixel_centers=False):
        batch, _, _, depth = self.shape(x)
        size = self.tensor((2,), dtype=np.int32, data=np.array([height, width], np.int32))
        options = schema.ResizeBilinearOptionsT()
        options.alignCorners, options.halfPixelCenters = align_corners, half_pixel_centers
        y = self.tensor((batch, height, width, depth), self.scale(x), self.zero_point(x))
        return self.operator("RESIZE_BILINEAR", [x, size], y, options)

    def binary(self, name, a, b, scale=None, zero_point=0, activation="NONE"):
        shape = np.broadcast_shapes(self.shape(a), self.shape(b))
        if scale is None:
            scales = self.scale(a), self.scale(b)
            scale = {"ADD": 0.7 * sum(scales), "MUL": 90 * scales[0] * scales[1]}.get(
                name, scales[0]
            )
        if name == "MAXIMUM":
            zero_point = self.zero_point(a)
        y = self.tensor(shape, scale, zero_point)
        options = None
        if name in ("ADD", "MUL"):
            options = getattr(schema, name.title() + "OptionsT")()
            options.fusedActivationFunction = getattr(_ACTIVATIONS, activation)
        return self.operator(name, [a, b], y, options)

    def gather(self, x, indices, axis=-1):
        indices = np.asarray(indices, np.int32)
        shape = list(self.shape(x))
        shape[axis] = indices.size
        constant = self.tensor(indices.shape, dtype=np.int32, data=indices)
        options = schema.GatherOptionsT()
        options.axis = axis
        y = self.tensor(shape, self.scale(x), self.zero_point(x))
        return self.operator("GATHER", [x, constant], y, options)

    def reshape(self, x, shape):
        constant = self.tensor((len(shape),), dtype=np.int32, data=np.asarray(shape, np.int32))
        y = self.tensor(shape, self.scale(x), self.zero_point(x))
        return self.operator("RESHAPE", [x, constant], y)

    def unary(self, name, x, scale=None, zero_point=0):
        options = schema.SoftmaxOptionsT() if name == "SOFTMAX" else None
        if name == "SOFTMAX":
            options.beta, scale, zero_point = 1.0, 1 / 256, -128
        y = self.tensor(self.shape(x), scale or self.scale(x), zero_point)
        return self.operator(name, [x], y, options)

    def dy_shift_max(self, x, groups, branches=2, shuffle=None):
        """DY-ShiftMax as it looks after conversion: pool, squeeze, coefficients, shift, max."""
        channels = self.shape(x)[3]
        squeezed = self.dense(self.pool(x), max(channels // 8, 4), "RELU")
        index = np.arange(channels).reshape(groups, channels // groups)
        shift = np.roll(np.roll(index, -1, axis=0), -1, axis=1).ravel()
        x2 = self.gather(x, shift)
        inits = [1.0, 0.0] if branches == 1 else [1.0, 0.0, 0.5, 0.5]
        # The fixed range [init - 2, init + 2] in 255 steps.
        coefficients = [
            self.dense(squeezed, channels, scale=4 / 255, zero_point=round(-128 - (i - 2) * 63.75))
            for i in inits
        ]
        coefficients = [self.reshape(c, (1, 1, 1, channels)) for c in coefficients]
        spread = self.scale(x)
        sums = []
        for k in range(branches):
            a = self.binary("MUL", x, coefficients[2 * k], scale=1.8 * spread, zero_point=3)
            b = self.binary("MUL", x2, coefficients[2 * k + 1], scale=1.2 * spread, zero_point=-2)
            sums.append(self.binary("ADD", a, b, scale=1.9 * spread, zero_point=-5))
        y = sums[0] if branches == 1 else self.binary("MAXIMUM", *sums)
        return y if shuffle is None else self.gather(y, shuffle)

    def variable(self, name, initial, scale, zero_point):
        """A handle of a resource variable, and what it holds."""
        self.initial[name] = initial, scale, zero_point
        options = schema.VarHandleOptionsT()
        options.container, options.sharedName = "", name
        handle = self.operator("VAR_HANDLE", [], self._resource(), options)
        return handle, self.read(handle, initial.shape, scale, zero_point)

    def read(self, handle, shape, scale, zero_point):
        y = self.tensor(shape, scale, zero_point)
        return self.operator("READ_VARIABLE", [handle], y, schema.ReadVariableOptionsT())

    def assign(self, handle, x):
        self.operator("ASSIGN_VARIABLE", [handle, x], [], schema.AssignVariableOptionsT())

    def _resource(self):
        resource = self.tensor((), dtype=np.int32)
        self.tensors[resource].type = schema.TensorType.RESOURCE
        return resource

    def _called_once(self):
        """The subgraph that gives variables their first values, and the operator that calls it."""
        options = schema.CallOnceOptionsT()
        options.initSubgraphIndex = 1
        self.operator("CALL_ONCE", [], [], options)
        self.operators.insert(0, self.operators.pop())
        main = self.tensors, self.operators
        self.tensors, self.operators = [], []
        for name, (value, scale, zero_point) in self.initial.items():
            options = schema.VarHandleOptionsT()
            options.container, options.sharedName = "", name
            handle = self.operator("VAR_HANDLE", [], self._resource(), options)
            self.assign(handle, self.tensor(value.shape, scale, zero_point, data=value))
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = (
            self.tensors, self.operators, [], [],
        )  # fmt: skip
        self.tensors, self.operators = main
        return graph

    def build(self, *outputs):
        called = [self._called_once()] if self.initial else []
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = self.inputs, list(outputs)
        model = schema.ModelT()
        model.version, model.description = 3, "test"
        model.operatorCodes, model.subgraphs, model.buffers = (
            self.codes,
            [graph, *called],
            self.buffers,
        )
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _window(size, kernel, stride, padding):
    if padding == "SAME":
        return tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
    return tuple((n - k + s) // s for n, k, s in zip(size, kernel, stride, strict=True))


def small_micronet(seed=0, size=16, classes=5):
    """The kinds of operators and the topology of MicroNet in little."""
    m = TinyModel(seed)
    x = m.input((1, size, size, 3))
    # PyTorch padding: a 3-tap kernel with a zero tap behind it, at stride 2.
    y = m.conv(x, 2, (4, 1), (2, 1), zero_taps=np.s_[:, 3], activation="NONE")
    y = m.depthwise(y, (1, 4), (1, 2), 2, zero_taps=np.s_[:, :, 3], activation="RELU6")
    y = m.gather(y, [0, 2, 1, 3])
    y = m.depthwise(y, (3, 1), (1, 1), 2)
    y = m.depthwise(y, (1, 3), (1, 1), 2)
    y = m.gather(m.dy_shift_max(y, 4, 2), [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15])
    z = m.conv(y, 8, groups=2)
    z = m.dy_shift_max(z, 2, 1, shuffle=[0, 4, 1, 5, 2, 6, 3, 7])
    y = m.conv(z, 24, groups=4, activation="RELU6")
    y = m.depthwise(y, (5, 5))
    y = m.dy_shift_max(y, 8, 2)
    y = m.conv(y, 8, groups=2)
    y = m.binary("ADD", y, z)
    y = m.unary("HARD_SWISH", m.pool(y))
    y = m.reshape(y, (1, 8))
    y = m.unary("HARD_SWISH", m.dense(y, 16, gain=8))
    return m.build(m.dense(y, classes, gain=12))
