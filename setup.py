"""The installable package micronet-keras; `requirements.lock` pins what it was tested with."""

from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

SCRIPTS = sorted(path.stem for path in Path("scripts").glob("*.py") if path.stem != "__init__")

setup(
    name="micronet-keras",
    version="0.1.0",
    description="MicroNet (ICCV 2021) in Keras 3, down to int8 on a microcontroller",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["micronet_keras*"]),
        "micronet_keras_scripts",
        # C and C++ sources; the compiler and the firmware export look for them beside the package.
        *find_namespace_packages(include=["tflm*"]),
    ],
    package_dir={"micronet_keras_scripts": "scripts"},
    package_data={"": ["*"], "micronet_keras": ["**/*"]},
    install_requires=[
        "absl-py",
        "flatbuffers",
        "importlib_resources",
        "keras>=3.15,<3.16",
        "matplotlib",
        "numpy>=2",
        "pillow",
        "pycocotools",
        "pyserial",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10",
        "tensorflow-model-optimization==0.8.1",
        "tf_keras>=2.21,<2.22",
        "tflite_micro==0.dev20261023182759",
        "tqdm",
    ],
    extras_require={
        "torch": ["torch>=2.6"],
        "jax": ["jax>=0.10"],
        "test": ["hypothesis", "pytest", "ruff"],
    },
    entry_points={
        "console_scripts": [
            f"micronet-{name.replace('_', '-')}=micronet_keras_scripts.{name}:run"
            for name in SCRIPTS
        ]
    },
)
