"""How values are written in C: names, numbers, strings, arrays, comments."""

import re
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from micronet_mcu.errors import UserError

LINE = 100


def check_prefix(name: str, what: str = "name") -> str:
    """Returns a name that may begin names in C, and in capitals those of macros.

    Raises:
        UserError: it is none.

    Example:

    >>> check_prefix("model_2")
    'model_2'
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UserError(
            f"the {what} must be a C identifier, not {name!r}; use letters, digits and _, a letter "
            "first"
        )
    return name


def identifier(text: str) -> str:
    """A name for what is called `text`, in small letters; not empty, a letter first.

    Example:

    >>> identifier("block3/depthwise/vertical"), identifier("7 segments")
    ('block3_depthwise_vertical', 'n7_segments')
    """
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if re.match("[a-z]", name) else f"n{name}"


def unique_identifiers(texts: Iterable[str], reserved: Iterable[str] = ()) -> list[str]:
    """`identifier` of each; where they would be the same, or reserved, with a number behind it.

    Example:

    >>> unique_identifiers(["a/b", "a b", "c"])
    ['a_b', 'a_b_2', 'c']
    """
    found: list[str] = []
    taken = set(reserved)
    for text in texts:
        base, number = identifier(text), 2
        name = base
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        found.append(name)
    return found


def integer(value: int) -> str:
    """An int constant."""
    # -2147483648 is the negative of a number that is no int.
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)


def signed(value: int) -> str:
    """An int constant for a macro: negative ones in parentheses."""
    return f"({value})" if value < 0 else str(value)


def floating(value: float) -> str:
    """A float constant, exactly the single-precision value.

    Example:

    >>> floating(0.1), floating(2)
    ('0.1f', '2.0f')
    """
    text = str(np.float32(value))  # the shortest that reads back as the same
    return (text if any(c in text for c in ".en") else text + ".0") + "f"


def string(text: str) -> str:
    """A string literal; bytes beyond ASCII as octal escapes, which end after three digits.

    Example:

    >>> print(string('5" ö'))
    "5\\042 \\303\\266"
    """
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{escaped}"'


def numbers(values: np.ndarray) -> list[str]:
    """Every element as an initialiser; of structs, the last axis is one in braces."""
    return [integer(value) for value in values.ravel().tolist()]


def wrapped(items: Sequence[str], indent: int = 4) -> str:
    """Items with a comma behind each, on lines of at most 100 columns."""
    lines, line = [], " " * (indent - 1)
    for item in items:
        if len(line) + len(item) + 2 > LINE and line.strip():
            lines.append(line)
            line = " " * (indent - 1)
        line += f" {item},"
    return "\n".join([*lines, line])


def array(declaration: str, values: np.ndarray) -> str:
    """A definition of an array of integers.

    Args:
        declaration: what stands before the `=`.
        values: integers of any shape; written flat.

    Example:

    >>> print(array("const int8_t table[3]", np.int8([1, -2, 3])))
    const int8_t table[3] = {
        1, -2, 3,
    };
    """
    return f"{declaration} = {{\n{wrapped(numbers(values))}\n}};\n"


def comment_text(text: str) -> str:
    """Text from a file or a user as it may stand inside a C comment, on one line.

    Names of layers and classes come from files that nobody vouches for; what ended the comment
    would be compiled. Without stars a comment neither ends nor begins again; backslashes and
    question marks could splice lines or make trigraphs.

    Example:

    >>> comment_text("block1/depthwise */ abort(); /*")
    'block1/depthwise _/ abort(); /_'
    """
    return "".join(c if c.isprintable() and c not in "*\\?" else "_" for c in text)


def comment(text: str, indent: int = 2) -> list[str]:
    """Lines of block comments."""
    lines = textwrap.wrap(comment_text(text), LINE - indent - 6)
    return [f"{' ' * indent}/* {line} */" for line in lines]
