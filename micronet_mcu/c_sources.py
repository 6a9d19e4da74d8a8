"""Where the C and C++ sources are: kernels, decoders, the firmware's library, platforms."""

from pathlib import Path

from micronet_mcu.errors import UserError

_PACKAGE = Path(__file__).resolve().parent
# In a wheel they are package data; in a checkout they have a folder beside the package.
_PLACES = (_PACKAGE / "c", _PACKAGE.parent / "tflm")


def c_sources(*parts: str) -> Path:
    """A file or folder below `tflm/`, e.g. `c_sources("kernels")`.

    Raises:
        UserError: the package was installed without it.
    """
    root = next((place for place in _PLACES if place.is_dir()), _PLACES[0])
    path = root.joinpath(*parts)
    if not path.exists():
        raise UserError(f"{path} is missing: micronet-mcu is not completely installed")
    return path
