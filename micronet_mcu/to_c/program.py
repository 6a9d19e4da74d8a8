"""A planned program: what is written as C."""

from dataclasses import dataclass

from micronet_mcu.csource import unique_identifiers
from micronet_mcu.graph.program import Step
from micronet_mcu.graph.value import Value
from micronet_mcu.to_c.memory import Arena

# What follows the prefix in names that every compiled model, or its firmware, has.
RESERVED = ("input", "output", "invoke", "selftest", "selftest_output", "data", "labels",
            "test_input", "test_output")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Program:
    """Steps and their places in the arena.

    Attributes:
        origin: the name of the file that it was made from, for comments.
        input, output: of the network.
        steps: in the order in which they run.
        arena: where every activation lies.
    """

    origin: str
    input: Value
    output: Value
    steps: list[Step]
    arena: Arena

    def identifiers(self) -> list[str]:
        """What C calls each step: its layer's name, with a number where that is not the only one or
        is that of a function."""
        return unique_identifiers((step.name for step in self.steps), RESERVED)
