"""Flags of the command line made of the settings' dataclasses."""

import dataclasses
import typing
from typing import Any

from absl import flags

from micronet_cli.script import SETTINGS
from micronet_mcu.errors import UserError


def define_flags(config: type, module: str) -> None:
    """Defines an absl flag for each field of a dataclass.

    Args:
        config: a dataclass whose fields were made with `setting`; bool, int, float or str.
        module: `__name__` of the command, whose --help then lists the flags.

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
        text = field.metadata["help"]
        kind = types[field.name]
        if kind is bool:
            flag = flags.BooleanFlag(field.name, None, text)
        else:
            pair = field.metadata.get("second")
            parser = _PairParser() if pair else parsers[kind]
            serializer = _PairSerializer() if pair else flags.ArgumentSerializer()
            flag = flags.Flag(parser, serializer, field.name, None, text)
        flags.DEFINE_flag(flag, module_name=module + SETTINGS)


def given_flags(*configs: type) -> dict[str, Any]:
    """The fields of dataclasses that were given as flags, for ``dataclasses.replace``.

    Raises:
        UserError: one was given twice, as --image_size=96x128 with --image_width.
    """
    fields = {field.name: field for config in configs for field in _plain_fields(config)}
    values = {name: flags.FLAGS[name].value for name in sorted(fields)}
    given = {name: value for name, value in values.items() if value is not None}
    for name, pair in [item for item in given.items() if isinstance(item[1], tuple)]:
        second = fields[name].metadata["second"]
        if second in given:
            raise UserError(f"--{name}={pair[0]}x{pair[1]} and --{second} exclude each other")
        given[name], given[second] = pair
    return given


class _PairParser(flags.ArgumentParser):
    """A whole number, or two as in "96x128"."""

    syntactic_help = "a whole number, or two as in 96x128"

    def parse(self, argument: str | int) -> int | tuple[int, ...]:
        try:
            first, *others = (int(part) for part in str(argument).lower().split("x"))
        except ValueError:
            raise ValueError(f"{argument!r} is not {self.syntactic_help}") from None
        if len(others) > 1:
            raise ValueError(f"{argument!r} is not {self.syntactic_help}")
        return (first, *others) if others else first

    def flag_type(self) -> str:
        return "int"


class _PairSerializer(flags.ArgumentSerializer):
    """What `_PairParser` reads."""

    def serialize(self, value: int | tuple[int, ...]) -> str:
        return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain_fields(config: type) -> list[dataclasses.Field]:
    types = typing.get_type_hints(config)
    return [f for f in dataclasses.fields(config) if not dataclasses.is_dataclass(types[f.name])]
