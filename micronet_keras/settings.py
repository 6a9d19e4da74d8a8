"""Frozen records of settings whose fields explain themselves, in Python as on the command line."""

import dataclasses
import typing
from typing import Any

from absl import flags


def setting(default: Any, help_text: str) -> Any:
    """A dataclass field with a default and the text that documentation and ``--help`` show."""
    return dataclasses.field(default=default, metadata={"help": help_text})


def documented(config: type) -> type:
    """Class decorator: lists the fields of a dataclass in its docstring."""
    lines = [f"        {f.name}: {f.metadata['help']}." for f in dataclasses.fields(config)]
    config.__doc__ = config.__doc__.rstrip() + "\n\n    Attributes:\n" + "\n".join(lines) + "\n    "
    return config


def define_flags(config: type, when_absent: str | None = None, beyond: type | None = None) -> None:
    """Defines an absl flag for each field of a dataclass.

    Args:
        config: a dataclass whose fields were made with `setting`; bool, int, float or str.
        when_absent: what a flag that is not given stands for; the field's default when None.
        beyond: a dataclass that `config` extends, whose fields have flags already.
    """
    define = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    types = typing.get_type_hints(config)
    present = {field.name for field in dataclasses.fields(beyond)} if beyond else set()
    for field in dataclasses.fields(config):
        if field.name in present:
            continue
        absent = when_absent or f"{field.default!r}"
        define[types[field.name]](
            field.name, None, f"{field.metadata['help']}; {absent} when not given"
        )


def given_flags(config: type) -> dict[str, Any]:
    """The fields of a dataclass that were given as flags, for ``dataclasses.replace``."""
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if value is not None}
