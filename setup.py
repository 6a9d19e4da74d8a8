"""The distribution micronet-keras; `requirements.lock` pins what it was tested with.

The int8 side is a distribution of its own, in `distributions/micronet-mcu`: extras can add
dependencies and never take any away, and it must install without TensorFlow.
It brings the command `micronet`, too, whose sub-commands appear with what they need.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "micronet_mcu" / "version.py").read_text(encoding="utf-8"), VERSION)

setup(
    name="micronet-keras",
    version=VERSION["__version__"],
    description="MicroNet (ICCV 2021) in Keras 3, down to int8 on a microcontroller",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["micronet_keras*", "micronet_settings"]),
    package_data={"micronet_keras": ["**/*"]},
    install_requires=[
        f"micronet-mcu=={VERSION['__version__']}",
        "importlib_resources",
        "keras>=3.15,<3.16",
        "pycocotools",
        "pyyaml",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10",
        "tensorflow-model-optimization==0.8.1",
        "tf_keras>=2.21,<2.22",
    ],
    extras_require={
        "torch": ["torch>=2.6"],
        "jax": ["jax>=0.10"],
    },
)
