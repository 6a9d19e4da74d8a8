"""tflm/README.md's programs, compiled against what conversion writes; what the build files name.

TFLM's headers are stubs of their interfaces (tests/firmware), so this checks syntax and types.
"""

import re

import firmware_build
import numpy as np
import tiny_tflite

from micronet_mcu import read_model
from micronet_mcu.decode import Int8Decoder, detector_header
from micronet_mcu.to_tflm import write_c_array
from micronet_mcu.to_tflm.op_resolver import write_op_resolver


def heads(*channels):
    """A network of one convolution for each output; images of 32 x 32, maps of 8 x 8."""
    tiny = tiny_tflite.TinyModel(0)
    x = tiny.conv(tiny.input((1, 32, 32, 3)), 8, (4, 4), (4, 4))
    return tiny.build(*(tiny.conv(x, count) for count in channels))


def write(folder, model):
    parsed = read_model(model)
    outputs = [parsed.tensors[index] for index in parsed.outputs]
    vectors = [np.zeros(t.shape, np.int8) for t in (parsed.tensors[parsed.inputs[0]], outputs[0])]
    write_c_array(folder, model, 1000, *vectors)
    write_op_resolver(folder / "op_resolver.h", model)
    if len(outputs) > 1:
        header = detector_header(Int8Decoder(outputs, (32, 32)))
        (folder / "model_detector.h").write_text(header)


def test_the_programs_compile(tmp_path):
    text = (firmware_build.TFLM / "README.md").read_text()
    programs = re.findall(r"```cpp\n(.*?)```", text, re.DOTALL)
    names = [re.search(r"^\S.* (\w+)\(.*\{$", program, re.MULTILINE)[1] for program in programs]
    assert names == ["Classify", "Detect", "FindKeypoints"]
    models = (tiny_tflite.small_micronet(seed=3), heads(2, 4), heads(5))
    for name, program, model in zip(names, programs, models, strict=True):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, model)
        (folder / "main.cc").write_text(program)
        tflm = firmware_build.TFLM
        parts = [tflm / part for part in ("micronet", "kernels/include", "detection", "keypoints")]
        include = [folder, firmware_build.STUBS / "tflm_stub", *parts]
        firmware_build.check_syntax(folder / "main.cc", include, ["-Wno-unused-variable"])


def test_the_build_files_name_every_source_and_no_other():
    tflm = firmware_build.TFLM
    bazel, cmake = ((tflm / name).read_text() for name in ("BUILD", "CMakeLists.txt"))
    named = set(re.findall(r'"((?:micronet|detection|keypoints)/[\w.]+)"', bazel))
    there = {
        path.relative_to(tflm).as_posix()
        for folder in ("micronet", "detection", "keypoints")
        for path in (tflm / folder).iterdir()
    }
    # Compiled C needs no library; an exported project has its runtime_c.cc.
    assert named == there - {"micronet/runtime_c.cc"}
    for name in re.findall(r"micronet/\w+\.cc", cmake):
        assert (tflm / name).is_file(), name
    sources = {name for name in named if name.endswith(".cc")}
    assert sources == set(re.findall(r"micronet/\w+\.cc", cmake))
