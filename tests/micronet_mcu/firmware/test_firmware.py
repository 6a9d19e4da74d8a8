"""Exported projects: complete, free of syntax errors, honest about what does not fit.

TFLM's and the boards' headers are stubs of their interfaces (tests/firmware): this checks syntax
and types, it builds no firmware.
"""

import re
import subprocess
from pathlib import Path

import firmware_build
import numpy as np
import pytest
import tiny_tflite

from micronet_mcu.c_sources import c_sources
from micronet_mcu.errors import UserError
from micronet_mcu.firmware import PLATFORMS, RUNTIMES, export, export_firmware, flash
from micronet_mcu.folders import MARKER
from micronet_mcu.graph.read import read_model
from micronet_mcu.image_input import VALUES
from micronet_mcu.tflite.rewrite import pack, unpack
from micronet_mcu.to_tflm.fused_ops import fuse
from micronet_mcu.to_tflm.op_resolver import op_resolver_header, operators_of, write_op_resolver

STUBS = firmware_build.STUBS
EXPECTED_FILES = {
    "arduino": ["README.md", "micronet/micronet.ino", "micronet/sketch.yaml"],
    "esp_idf": ["CMakeLists.txt", "README.md", "main/CMakeLists.txt", "main/idf_component.yml",
                "main/line.h", "main/main.cc", "partitions.csv", "sdkconfig.defaults"],
    "zephyr": ["README.md", "app/CMakeLists.txt", "app/prj.conf", "app/src/main.cc",
               "app/west.yml"],
    "pico": ["CMakeLists.txt", "README.md", "src/main.cc"],
    "generic": ["CMakeLists.txt", "README.md", "bare_metal/Makefile", "bare_metal/board.cc",
                "bare_metal/memory.ld.in", "bare_metal/startup.c", "tflm.cmake"],
    "stm32": ["CMakeLists.txt", "README.md", "src/board_stm32.cc", "src/micronet_main.h",
              "tflm.cmake"],
    "host": ["CMakeLists.txt", "README.md", "src/main.cc", "tflm.cmake"],
}  # fmt: skip
# How each platform declares TensorFlow Lite Micro.
DEPENDENCY = {
    "arduino": ("micronet/sketch.yaml", "Arduino_TensorFlowLite"),
    "esp32s3": ("main/idf_component.yml", "espressif/esp-tflite-micro"),
    "esp32cam": ("main/idf_component.yml", "espressif/esp-tflite-micro"),
    "esp32c3": ("main/idf_component.yml", "espressif/esp-tflite-micro"),
    "esp32c6": ("main/idf_component.yml", "espressif/esp-tflite-micro"),
    "zephyr": ("app/west.yml", "tflite-micro"),
    "pico": ("CMakeLists.txt", "pico-tflmicro"),
    "pico2": ("CMakeLists.txt", "pico-tflmicro"),
    "generic": ("CMakeLists.txt", "tflm::tflm"),
    "stm32": ("CMakeLists.txt", "tflm::tflm"),
    "host": ("CMakeLists.txt", "tflm::tflm"),
}


@pytest.fixture(scope="module")
def model():
    return tiny_tflite.small_micronet(seed=3)


@pytest.fixture(scope="module")
def prepared(model, tmp_path_factory):
    """The slow part (compiling, measuring the arena) once for every kind of project."""
    made = {}

    def prepare(model_, runtime, fuse, groups, tune, image, work):
        key = (runtime, fuse, groups, tune, image.tobytes())
        if key not in made:
            made[key] = (original(model_, runtime, fuse, groups, tune, image, work),
                         {p.name: p.read_bytes() for p in (work / "compiled").iterdir()}
                         if runtime == "c" else {})  # fmt: skip
        result, files = made[key]
        if files and not (work / "compiled").is_dir():
            (work / "compiled").mkdir()
            for name, data in files.items():
                (work / "compiled" / name).write_bytes(data)
        return result

    original = export._prepare
    patch = pytest.MonkeyPatch()
    patch.setattr(export, "_prepare", prepare)
    yield
    patch.undo()


def exported(model, folder, platform, **options):
    options.setdefault("labels", ["a", "b", "c", "d", "e"])
    return export_firmware(platform, model, folder, **options)


def array(text: str, name: str) -> np.ndarray:
    numbers = re.search(rf"{name}\[[^]]*\] = \{{(.*?)\}};", text, re.DOTALL)[1]
    return np.array([int(n) for n in numbers.replace("\n", " ").split(",") if n.strip()])


@pytest.mark.slow
@pytest.mark.parametrize("platform", list(PLATFORMS))
@pytest.mark.parametrize("runtime", ["tflm", "c"])
def test_projects_are_complete(prepared, model, tmp_path, platform, runtime):
    target = PLATFORMS[platform]
    camera = "camera" if target.camera else "serial"
    result = exported(model, tmp_path / "p", platform, runtime=runtime, image_source=camera)
    project = tmp_path / "p"
    for name in EXPECTED_FILES[target.template]:
        assert (project / name).is_file(), name
    everything = [p for p in project.rglob("*") if p.is_file() and p.suffix != ".tflite"]
    for path in everything:
        text = path.read_text(encoding="utf-8")
        made_here = path.name in ("memory.ld.in", "Makefile")  # fills in its own
        assert "-only@" not in text and (made_here or not re.search(r"@[A-Z]+@", text)), path
        # Every file that is named exists.
        for name in re.findall(r'^#include "([^"]+)"', text, re.MULTILINE):
            outside = ("tensorflow/", "driver/", "esp_", "freertos/", "pico/", "zephyr/",
                       "sdkconfig.h", "main.h")  # fmt: skip
            inside = (path.parent / name, project / target.sources / name)
            assert name.startswith(outside) or any(map(Path.is_file, inside)), (path, name)
    file, name = DEPENDENCY[platform]
    assert (name in (project / file).read_text()) == (runtime == "tflm")
    sources = project / target.sources
    info = (sources / f"model_info{target.suffix}").read_text()
    assert f'"micronet", 16, 16, 3, 5, 1, kOutputSizes, {result.arena_bytes}' in info
    if runtime == "tflm":
        flatbuffer = (project / "model.tflite").read_bytes()
        data = (sources / f"model_data{target.suffix}").read_text()
        assert array(data, "model_data").astype(np.uint8).tobytes() == flatbuffer
        assert operators_of(flatbuffer) == result.operators
        assert len(read_model(flatbuffer).operators) > 10
        resolver = (sources / "op_resolver.h").read_text()
        assert resolver == op_resolver_header(flatbuffer)
        assert f"MicroMutableOpResolver<{len(result.operators)}>" in resolver
        assert resolver.count("== kTfLiteOk") == len(result.operators)
    else:
        assert (sources / "model.c").is_file() and not (project / "model.tflite").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "fuse", "standard", "names"),
    [
        ("arduino", "all", "-std=c++14", "old"),
        ("esp32cam", "activations", "-std=c++17", "old"),
        ("esp32s3", "all", "-std=c++17", "new"),
        ("esp32c6", "none", "-std=c++17", "new"),
        ("stm32", "all", "-std=c++17", "new"),
        ("zephyr", "none", "-std=c++17", "new"),
        ("pico", "all", "-std=c++17", "old"),
        ("host", "none", "-std=c++17", "old"),
    ],
)
def test_sources_that_include_tflm_have_no_syntax_errors(
    prepared, model, tmp_path, platform, fuse, standard, names
):
    target = PLATFORMS[platform]
    camera = "camera" if target.camera else "serial"
    exported(model, tmp_path / "p", platform, fuse=fuse, image_source=camera)
    sources = tmp_path / "p" / target.sources
    includes = [sources, STUBS / "tflm_stub", STUBS / "platform_stubs" / target.template]
    flags = [standard, *(["-DTFLM_STUB_NEW_NAMES"] if names == "new" else [])]
    together = tmp_path / "all.cc"
    files = sorted(p for p in sources.glob(f"*{target.suffix}") if p.stem != "model_data")
    sketch = tmp_path / "p" / "micronet" / "micronet.ino"
    lines = [f'#include "{path}"' for path in files if path.stem not in ("kernel_ops", "status")]
    if sketch.is_file():
        # arduino-cli finds a library by the first header that only it has.
        first = re.search(r"#include <(.+?)>", sketch.read_text())[1]
        assert first == "TensorFlowLite.h"
        lines.insert(0, f'#include <Arduino.h>\n#include "{sketch}"')
    if platform == "esp32cam":
        flags.append("-DSTUB_UART")
    if platform == "stm32":
        flags.append("-DMICRONET_UART=huart2")
    together.write_text("\n".join(lines) + "\n")
    firmware_build.check_syntax(together, includes, flags)
    for name in ("kernel_ops", "status"):  # they share names of inner functions with the others
        alone = tmp_path / f"{name}.cc"
        alone.write_text(f'#include "{sources / (name + target.suffix)}"\n')
        firmware_build.check_syntax(alone, includes, flags)


@pytest.mark.slow
def test_the_host_project_builds_and_passes_its_own_test(model, tmp_path):
    """With the compiled C; TFLM is not here."""
    image = np.full((16, 16, 3), 100, np.uint8)
    exported(model, tmp_path / "p", "host", runtime="c", test_image=image)
    sources = tmp_path / "p" / "src"
    files = sorted([*sources.glob("*.c"), *sources.glob("*.cc")])
    program = firmware_build.build(tmp_path / "firmware", files, [sources])
    done = subprocess.run([program], input=b"test%", capture_output=True, timeout=60, check=True)
    assert b"m-init-done" in done.stdout and b"m-test-[0,yes]" in done.stdout


@pytest.mark.slow
def test_an_existing_project_is_replaced_only_when_forced(prepared, model, tmp_path):
    folder = tmp_path / "p"
    exported(model, folder, "host")
    before = sorted(folder.rglob("*"))
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        exported(model, folder, "host")
    exported(model, folder, "host", runtime="c", force=True)
    assert not (folder / "model.tflite").exists() and (folder / "src" / "model.c").exists()
    exported(model, folder, "host", force=True)
    assert (folder / "mine.txt").read_text() == "precious"
    assert sorted(folder.rglob("*")) == sorted([*before, folder / "mine.txt"])


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_project_from_before_there_were_markers_is_known(
    prepared, model, tmp_path, platform, runtime
):
    folder = tmp_path / "p"
    exported(model, folder, platform, runtime=runtime)
    (folder / MARKER).unlink()
    exported(model, folder, platform, runtime=runtime, force=True)
    (folder / MARKER).unlink()
    (folder / "notes").write_text("mine")
    with pytest.raises(UserError, match="it holds notes"):
        exported(model, folder, platform, runtime=runtime, force=True)


def test_an_interrupted_export_leaves_the_old_project(prepared, model, tmp_path, monkeypatch):
    folder = tmp_path / "p"
    exported(model, folder, "host")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "_write_info", interrupt)
    with pytest.raises(KeyboardInterrupt):
        exported(model, folder, "host", name="other", force=True)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"platform": "toaster"}, "no platform is called 'toaster'"),
        ({"runtime": "java"}, "runtime must be one of tflm, c, not 'java'"),
        ({"fuse": "some"}, "fuse must be one of"),
        ({"image_source": "telepathy"}, "image source must be one of"),
        ({"image_source": "camera"}, "has no camera"),
        ({"name": 'a"b'}, "the name"),
        ({"labels": ["one"]}, "1 labels for 5 outputs"),
        ({"fuse": "all", "groups": "dense"}, "leave `groups` out"),
        ({"fuse": "all", "tune": "cmsis_nn"}, "leave `tune` out"),
        ({"runtime": "c", "fuse": "activations"}, "`fuse` is for TFLM"),
        ({"runtime": "c", "groups": "dense"}, "`groups` is for TFLM"),
        ({"runtime": "c", "tune": "cmsis_nn"}, "`tune` is for TFLM"),
        ({"tune": "ethos"}, "tune must be one of none, cmsis_nn, not 'ethos'"),
        ({"platform": "arduino", "fuse": "none", "groups": "native"}, "`groups=dense`"),
        ({"test_image": np.zeros((2, 2, 3), np.uint8)}, "the test image is"),
    ],
)
def test_wrong_arguments_are_named(model, tmp_path, options, message):
    platform = options.pop("platform", "host")
    with pytest.raises(UserError, match=message):
        exported(model, tmp_path / "p", platform, **options)
    assert not (tmp_path / "p").exists()


def test_models_that_are_no_image_classifiers_are_refused(tmp_path):
    tiny = tiny_tflite.TinyModel(0)
    x = tiny.input((1, 4, 4, 3))
    y = tiny.conv(x, 4)
    with pytest.raises(UserError, match="neither one vector of scores"):
        exported(tiny.build(y, tiny.pool(y)), tmp_path / "p", "host", labels=())
    tiny = tiny_tflite.TinyModel(0)
    model = tiny.build(tiny.dense(tiny.input((1, 8)), 3))
    with pytest.raises(UserError, match="is no image"):
        exported(model, tmp_path / "p", "host", labels=())
    with pytest.raises(UserError, match=r"custom operators \(MicroNetDYShiftMax"):
        fused = fuse(tiny_tflite.small_micronet(seed=3))
        exported(fused, tmp_path / "p", "host", labels=())
    with pytest.raises(UserError, match="not a usable"):
        exported(b"junk" * 9, tmp_path / "p", "host", labels=())


def test_models_that_take_something_else_than_pixels_are_refused(model, tmp_path):
    changed = unpack(model)
    (image,) = changed.subgraphs[0].inputs
    changed.subgraphs[0].tensors[image].name = VALUES
    with pytest.raises(UserError, match="gives the model pixel - 128, and this one takes .*values"):
        export_firmware("host", pack(changed), tmp_path / "x")


def test_models_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    tiny = tiny_tflite.TinyModel(0)
    x = tiny.input((1, 300, 300, 3))
    model = tiny.build(tiny.dense(tiny.reshape(tiny.pool(x), (1, 3)), 2))
    with pytest.raises(UserError, match=r"bytes of RAM, arduino has 262144"):
        exported(model, tmp_path / "p", "arduino", runtime="c", labels=())
    assert not (tmp_path / "p").exists()


def test_the_resolver_names_exactly_the_operators(model, tmp_path):
    text = write_op_resolver(tmp_path / "op_resolver.h", model).read_text()
    assert set(re.findall(r"resolver\.Add(\w+)\(\)", text)) == {
        "Add", "AveragePool2D", "Conv2D", "DepthwiseConv2D", "FullyConnected", "Gather",
        "HardSwish", "Maximum", "Mul", "Reshape",
    }  # fmt: skip


def test_an_operator_without_a_registration_is_named():
    tiny = tiny_tflite.TinyModel(0)
    model = tiny.build(tiny.operator("ABS", [tiny.input((1, 4))], tiny.tensor((1, 4), 0.02)))
    with pytest.raises(UserError, match="operator ABS cannot be registered"):
        op_resolver_header(model)


@pytest.mark.parametrize(
    ("platform", "options", "tool"),
    [
        ("arduino", {"port": "/dev/ttyACM9"}, "arduino-cli"),
        ("esp32s3", {"port": "/dev/ttyACM9"}, "idf.py"),
        ("esp32c3", {"port": "/dev/ttyACM9"}, "idf.py"),
        ("zephyr", {"board": "nrf52840dk_nrf52840"}, "west"),
        ("pico", {}, "picotool"),
        ("pico2", {}, "picotool"),
    ],
)
def test_flashing_calls_the_platforms_tool(
    prepared, model, tmp_path, monkeypatch, platform, options, tool
):
    project = tmp_path / "p"
    exported(model, project, platform)
    commands = flash(platform, project, dry_run=True, **options)
    assert commands[-1][0] == tool
    readme = (project / "README.md").read_text()
    for command in commands:
        text = " ".join(command).replace("ttyACM9", "ttyACM0")
        assert text in readme, text
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=f"{re.escape(tool)} is not installed"):
        flash(platform, project, **options)
    # A tool that is there is called in the project's folder, and its failure is told.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {command[0] for command in commands}:
        script = '#!/bin/sh\necho "$PWD $0 $@" >> "$LOG"\ntest "$FAIL" != yes\n'
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    for variable in ("PICO_SDK_PATH", "PICO_TFLMICRO_PATH", "IDF_PATH"):
        monkeypatch.delenv(variable, raising=False)
    needed = {"picotool": ["PICO_SDK_PATH", "PICO_TFLMICRO_PATH"], "idf.py": ["IDF_PATH"]}
    for variable in needed.get(tool, []):
        with pytest.raises(UserError, match=f"^set the environment variable {variable} to "):
            flash(platform, project, **options)
        monkeypatch.setenv(variable, str(tmp_path))
    flash(platform, project, **options)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [f"{project} {tools / c[0]} {' '.join(c[1:])}" for c in commands]
    monkeypatch.setenv("FAIL", "yes")
    with pytest.raises(UserError, match="failed with exit status 1"):
        flash(platform, project, **options)


def test_flashing_guesses_nothing(prepared, model, tmp_path):
    exported(model, tmp_path / "p", "arduino")
    with pytest.raises(UserError, match="name the board's serial port"):
        flash("arduino", tmp_path / "p")
    exported(model, tmp_path / "z", "zephyr")
    exported(model, tmp_path / "e", "esp32s3")
    with pytest.raises(UserError, match="name the board as Zephyr does"):
        flash("zephyr", tmp_path / "z")
    for platform, project in (
        ("pico", "."),
        ("pico", "z"),
        ("zephyr", "p"),
        ("esp32cam", "e"),
        ("esp32c3", "e"),
    ):
        with pytest.raises(UserError, match=f"is no {platform} project"):
            flash(platform, tmp_path / project, port="/dev/null", board="any", dry_run=True)
    assert flash("esp32s3", tmp_path / "e", port="/dev/null", dry_run=True)
    with pytest.raises(UserError, match="nothing to flash on host"):
        flash("host", tmp_path)


def test_an_option_reaches_the_tool_chain(prepared, model, tmp_path):
    """What is accepted is switched on: CMSIS-NN in Zephyr; drivers by their names in ESP-IDF; the
    console of the board's socket; the two chips of a Pico."""
    switch = "CONFIG_TENSORFLOW_LITE_MICRO_CMSIS_NN_KERNELS=y"
    for tune in ("none", "cmsis_nn"):
        exported(model, tmp_path / tune, "zephyr", fuse="none", tune=tune)
        assert (switch in (tmp_path / tune / "app/prj.conf").read_text()) == (tune == "cmsis_nn")
        assert ("cmsis-nn" in (tmp_path / tune / "app/west.yml").read_text()) == (
            tune == "cmsis_nn"
        )
    for platform, console in (("esp32s3", "USB_SERIAL_JTAG"), ("esp32cam", "UART_CUSTOM")):
        exported(model, tmp_path / platform, platform)
        assert (
            f"CONFIG_ESP_CONSOLE_{console}=y"
            in (tmp_path / platform / "sdkconfig.defaults").read_text()
        )
        assert "esp_driver_uart" in (tmp_path / platform / "main/CMakeLists.txt").read_text()
    for platform in ("pico", "pico2"):
        exported(model, tmp_path / platform, platform)
        assert (
            f"set(PICO_BOARD {platform} CACHE"
            in (tmp_path / platform / "CMakeLists.txt").read_text()
        )


def test_zephyrs_workspace_is_the_projects_folder(prepared, model, tmp_path):
    """west puts Zephyr beside the folder that west.yml is in: out/zephyr must not be that place."""
    exported(model, tmp_path / "zephyr", "zephyr")
    (manifest,) = tmp_path.rglob("west.yml")
    assert manifest.parent.parent == tmp_path / "zephyr"
    assert not (tmp_path / "zephyr" / "zephyr").exists()


def test_what_is_not_int8_is_said(tmp_path):
    tiny = tiny_tflite.TinyModel(0)
    x = tiny.convert(tiny.input((1, 4, 4, 3), 1.0, 0, np.uint8), 1.0, -128)
    y = tiny.dense(tiny.reshape(tiny.conv(x, 3), (1, 48)), 3)
    message = "the model is int8 inside, but its input is uint8; convert it with inference_input"
    with pytest.raises(UserError, match=message):
        export_firmware("host", tiny.build(y), tmp_path / "p")


def test_templates_name_no_unknown_feature():
    """A misspelt marker would silently drop its line."""
    known = {"tflm", "c", "serial", "camera", "psram", "cmsis_nn", *PLATFORMS}
    for path in Path(firmware_build.TFLM / "platforms").rglob("*"):
        if path.is_file():
            for marker in re.findall(r"@([a-z0-9,_-]+)-only@", path.read_text()):
                assert set(marker.split(",")) <= known, (path, marker)


def test_templates_take_tflm_in_one_way():
    """A project is copied from one template alone, so the file lies in each."""
    copies = {path.read_text() for path in c_sources("platforms").glob("*/tflm.cmake")}
    assert len(copies) == 1
