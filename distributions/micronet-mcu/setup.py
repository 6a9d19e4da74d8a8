"""The distribution micronet-mcu: the int8 side, the command line, and the C sources as data."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "micronet_mcu" / "version.py").read_text(encoding="utf-8"), VERSION)

setup(
    name="micronet-mcu",
    version=VERSION["__version__"],
    description="int8 models on microcontrollers: TensorFlow Lite Micro, plain C, firmware",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["micronet_mcu*", "micronet_cli"]), "micronet_mcu.c"],
    package_dir={"micronet_mcu.c": "tflm"},
    package_data={"micronet_mcu": ["py.typed", "boards/support/*"], "micronet_mcu.c": ["**/*"]},
    install_requires=[
        "absl-py",
        "flatbuffers",
        "matplotlib",
        "numpy>=2",
        "pillow",
        "pyserial",
        "tflite_micro==0.dev20261023182759",
        "tqdm",
    ],
    entry_points={"console_scripts": ["micronet=micronet_cli.micronet:run"]},
)
