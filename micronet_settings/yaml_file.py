"""Settings from a YAML file: every key is a field of a dataclass, every value of its type."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from micronet_mcu.errors import UserError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would take the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: {key!r} is no name")
            if key in seen:
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: {key} is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(text: bytes, origin: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: it is no YAML or no mapping; `origin` is named.
    """
    try:
        found = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{origin} cannot be read as YAML: {error}") from error
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise UserError(f"{origin} holds no settings: give lines like `epochs: 20`")
    return found


def check_keys(values: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Raises UserError for a key that is not known, with the one that it is nearest to."""
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}" if near else "there are: " + ", ".join(known)
            raise UserError(f"{where} has no setting {key!r}; {hint}")


def section(values: Mapping[str, Any], name: str, origin: str) -> dict[str, Any]:
    """The mapping below a key; empty where there is none.

    Raises:
        UserError: something else stands there.
    """
    found = values.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UserError(f"{origin}: {name} must have its settings below it. Received: {found!r}")
    return found


def checked(kind: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a dataclass's fields in the fields' types; `None` is left out.

    Raises:
        UserError: a key is no field, or its value is of another type.

    Example:

    >>> from micronet_settings import TrainConfig
    >>> checked(TrainConfig, {"learning_rate": "1e-3", "image_size": "96x128"}, "pets.yaml")
    {'image_size': 96, 'image_width': 128, 'learning_rate': 0.001}
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    plain = [name for name in fields if not dataclasses.is_dataclass(hints[name])]
    check_keys(values, plain, where)
    found: dict[str, Any] = {}
    for key, value in values.items():
        if value is None:
            continue
        second = fields[key].metadata.get("second")
        if second and isinstance(value, str):
            value, _, other = value.partition("x")
            if other:
                found[second] = _typed(other, int, f"{where}: {key}")
            value = _typed(value, int, f"{where}: {key}")
        found[key] = _typed(value, hints[key], f"{where}: {key}")
    return {key: found[key] for key in sorted(found, key=list(fields).index)}


_WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _typed(value: Any, kind: Any, where: str) -> Any:
    if isinstance(kind, types.UnionType):  # str | None
        kind = next(part for part in kind.__args__ if part is not type(None))
    if type(value) is kind:
        return value
    try:
        if kind is float and not isinstance(value, bool):
            return float(value)  # YAML reads 1 as whole, and 1e-5 as a text.
        if kind is int and isinstance(value, str):
            return int(value)
    except (OverflowError, TypeError, ValueError):
        pass
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise UserError(f"{where} must be {_WANTED[kind]}. Received: {value!r}")
