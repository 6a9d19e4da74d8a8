"""Resource variables: CALL_ONCE, VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE become `State`s."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from micronet_mcu.tflite.model import Operator, State, Tensor

# The operators that `states_of` takes out.
OPERATORS = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")


class Misuse(Exception):
    """Variables that are not of the simple kind; the message says how."""


def initial_values(
    tensors: Sequence[Tensor], operators: Sequence[Operator]
) -> dict[str, np.ndarray]:
    """What a subgraph that is called once assigns, by the variables' names.

    Raises:
        Misuse: it does something else than to assign constants.
    """
    names, found = _names(operators), {}
    for operator in operators:
        if operator.name == "VAR_HANDLE":
            continue
        if operator.name != "ASSIGN_VARIABLE" or len(operator.inputs) != 2:
            raise Misuse(f"a subgraph that is called once has {operator.name}")
        handle, value = operator.inputs
        data = tensors[value].data if value >= 0 else None
        if data is None or handle not in names:
            raise Misuse("a variable does not begin with a constant")
        found[names[handle]] = data
    return found


def states_of(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    outputs: Sequence[int],
    initial: Mapping[str, np.ndarray],
) -> tuple[tuple[Operator, ...], tuple[int, ...], tuple[State, ...]]:
    """The operators without those of variables, the model's outputs, and what is kept.

    Whoever reads a variable reads what was kept, or what was assigned before in the same run.

    Raises:
        Misuse: a variable has no initial value, or another type or size than what is kept in it.
    """
    names = _names(operators)
    before: dict[str, int] = {}
    current: dict[str, int] = {}
    same: dict[int, int] = {}
    kept = []
    for operator in operators:
        inputs = tuple(same.get(i, i) for i in operator.inputs)
        if operator.name not in OPERATORS:
            kept.append(replace(operator, inputs=inputs))
            continue
        if operator.name in ("CALL_ONCE", "VAR_HANDLE"):
            continue
        reads = operator.name == "READ_VARIABLE"
        if len(inputs) != 2 - reads or inputs[0] not in names or len(operator.outputs) != reads:
            raise Misuse(f"operator {operator.index} {operator.name} has no variable")
        name = names[inputs[0]]
        if not reads:
            current[name] = inputs[1]
        elif name in current:
            same[operator.outputs[0]] = current[name]
        else:
            before[name] = current[name] = operator.outputs[0]
    states = tuple(State(n, b, current[n], _initial(n, initial)) for n, b in before.items())
    for state in states:
        for index in (state.before, state.after):
            tensor = tensors[index] if index >= 0 else None
            fits = tensor is not None and tensor.dtype == state.initial.dtype
            if tensor is None or not fits or tensor.size != state.initial.size:
                raise Misuse(f"variable {state.name!r} changes its type or size")
        if state.after in before.values():
            raise Misuse(f"variable {state.name!r} is never assigned a new value")
    return tuple(kept), tuple(same.get(i, i) for i in outputs), states


def _names(operators: Sequence[Operator]) -> dict[int, str]:
    """The variable of every tensor that is a handle of one."""
    found = {}
    for operator in operators:
        if operator.name == "VAR_HANDLE":
            parts = (operator.options.get(key) or b"" for key in ("container", "shared_name"))
            name = "/".join(part.decode("utf-8", "replace") for part in parts if part)
            found.update(dict.fromkeys(operator.outputs, name))
    return found


def _initial(name: str, initial: Mapping[str, np.ndarray]) -> np.ndarray:
    if name not in initial:
        raise Misuse(f"variable {name!r} has no initial value")
    return initial[name]
