"""The table of sub-commands: the one place that says what there is."""

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A sub-command of `micronet`.

    Attributes:
        name: as it is typed.
        summary: one line for the list.
        keras: it needs the distribution micronet-keras; the others do with micronet-mcu.
        module: its file here and in scripts/; the name with underscores when empty.
    """

    name: str
    summary: str
    keras: bool = True
    module: str = ""

    @property
    def file(self) -> str:
        return self.module or self.name.replace("-", "_")


# Headings of the list, and what stands below them.
GROUPS = {
    "From photographs to a board": (
        Command("pipeline", "the whole road from one file; --init writes that file for a folder"),
        Command("train", "train a MicroNet, or go on with it"),
        Command("quantize", "quantize what was trained, with fine-tuning (QAT) or without (PTQ)"),
        Command("convert", "make the int8 flatbuffer and its C arrays"),
        Command("evaluate", "compare float, int8 and compiled C on a dataset"),
        Command("report", "what there is to know about a run, as one HTML page"),
        Command("compile", "compile an int8 flatbuffer to plain C", keras=False),
        Command("benchmark", "count instructions, SRAM and flash on emulated boards", keras=False,
                module="benchmark_mcu"),
        Command("export", "write a firmware project for a board", keras=False,
                module="export_firmware"),
        Command("flash", "build and flash a firmware project", keras=False),
        Command("run-on-board", "send a test set to a board; accuracy and latency"),
    ),
    "Around it": (
        Command("doctor", "what is installed, what is missing and how to get it", keras=False),
        Command("profile", "what every layer of a Keras model costs", module="profile_model"),
        Command("demo", "the whole way in one go, on a dataset that is drawn"),
        Command("import-checkpoint", "bring in the authors' ImageNet weights"),
    ),
    "Measuring networks": (
        Command("train-suite", "train networks side by side by one recipe"),
        Command("compare-detectors", "two backbones under one detection head"),
        Command("compare-quantization", "networks in float, after PTQ and after QAT"),
        Command("count-keypoint-models", "multiply-adds of the keypoint models"),
        Command("figures", "make the tables of this project's own README and docs"),
    ),
}  # fmt: skip
COMMANDS = {command.name: command for group in GROUPS.values() for command in group}


def installed(command: Command) -> bool:
    """Whether what the command needs is there; nothing is imported."""
    return not command.keras or importlib.util.find_spec("micronet_keras") is not None
