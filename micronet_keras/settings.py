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
    config.__doc__ = (
        (config.__doc__ or "").rstrip() + "\n\n    Attributes:\n" + "\n".join(lines) + "\n    "
    )
    return config


def define_flags(config: type, module: str, when_absent: str | None = None) -> None:
    """Defines an absl flag for each field of a dataclass.

    Args:
        config: a dataclass whose fields were made with `setting`; bool, int, float or str.
        module: `__name__` of the command, whose --help then lists the flags.
        when_absent: what a flag that is not given stands for; the field's default when None.

    A field that is a dataclass itself is left out: its fields have flags of their own. So is one
    whose flag another task has defined already.
    """
    parsers = {
        int: flags.IntegerParser(),
        float: flags.FloatParser(),
        str: flags.ArgumentParser(),
    }
    types = typing.get_type_hints(config)
    for field in _plain_fields(config):
        if field.name in flags.FLAGS:
            continue
        text = f"{field.metadata['help']}; {when_absent or repr(field.default)} when not given"
        kind = types[field.name]
        if kind is bool:
            flag = flags.BooleanFlag(field.name, None, text)
        else:
            serializer = flags.ArgumentSerializer()
            flag = flags.Flag(parsers[kind], serializer, field.name, None, text)
        flags.DEFINE_flag(flag, module_name=module)


def given_flags(*configs: type) -> dict[str, Any]:
    """The fields of dataclasses that were given as flags, for ``dataclasses.replace``."""
    names = {field.name for config in configs for field in _plain_fields(config)}
    values = {name: flags.FLAGS[name].value for name in sorted(names)}
    return {name: value for name, value in values.items() if value is not None}


def _plain_fields(config: type) -> list[dataclasses.Field]:
    types = typing.get_type_hints(config)
    return [f for f in dataclasses.fields(config) if not dataclasses.is_dataclass(types[f.name])]
