"""Frozen records of settings whose fields explain themselves, in Python as on the command line."""

import dataclasses
from typing import Any


def setting(default: Any, help_text: str, second: str | None = None) -> Any:
    """A dataclass field with a default and the text that documentation and ``--help`` show.

    `second` is the name of another field: on the command line "96x128" gives both.
    """
    return dataclasses.field(default=default, metadata={"help": help_text, "second": second})


def documented(config: type) -> type:
    """Class decorator: lists the fields of a dataclass in its docstring."""
    lines = [f"        {f.name}: {f.metadata['help']}." for f in dataclasses.fields(config)]
    config.__doc__ = (
        (config.__doc__ or "").rstrip() + "\n\n    Attributes:\n" + "\n".join(lines) + "\n    "
    )
    return config


def check_fields(config: Any, **checks: tuple[bool, str]) -> None:
    """Raises ValueError for the first field whose (fits, what is wanted) does not fit."""
    for name, (fits, wanted) in checks.items():
        if not fits:
            raise ValueError(f"{name} must be {wanted}. Received: {getattr(config, name)!r}")


def one_of(value: str, known: tuple[str, ...]) -> tuple[bool, str]:
    """A check of `check_fields`."""
    return value in known, f"one of {', '.join(known)}"
