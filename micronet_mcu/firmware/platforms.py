"""The boards' tool chains that a project can be generated for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from micronet_mcu.c_sources import c_sources
from micronet_mcu.errors import UserError


@dataclass(frozen=True)
class Platform:
    """A target of `export_firmware`.

    Attributes:
        name: what users call it.
        template: the folder below tflm/platforms.
        sources: where the application's sources go, below the project.
        suffix: of C++ files.
        groups: whether the platform's TFLM runs a CONV_2D with groups.
        camera: whether the template has a camera as image source.
        camera_files: files of the template that only a camera needs.
        ram_bytes, flash_bytes: for static variables and for the program; None where it depends on
            the board.
        external_ram: whether that RAM is a chip of its own, slower than the processor's.
    """

    name: str
    template: str
    sources: str
    suffix: str = ".cc"
    groups: bool = True
    camera: bool = False
    camera_files: tuple[str, ...] = ()
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    external_ram: bool = False

    @property
    def folder(self) -> Path:
        """The template.

        Raises:
            UserError: the package was installed without its firmware sources.
        """
        return c_sources("platforms", self.template)


_ESP_CAMERA = ("main/camera.cc", "main/camera.h")

PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("arduino", "arduino", "micronet/src", ".cpp", groups=False, camera=True,
                 ram_bytes=256 << 10, flash_bytes=960 << 10),
        Platform("esp32s3", "esp_idf", "main", groups=False, camera=True,
                 camera_files=_ESP_CAMERA, ram_bytes=8 << 20, flash_bytes=3 << 20,
                 external_ram=True),
        Platform("esp32cam", "esp_idf", "main", groups=False, camera=True,
                 camera_files=_ESP_CAMERA, ram_bytes=4 << 20, flash_bytes=3 << 20,
                 external_ram=True),
        Platform("esp32c3", "esp_idf", "main", groups=False, camera_files=_ESP_CAMERA,
                 ram_bytes=320 << 10, flash_bytes=3 << 20),
        Platform("esp32c6", "esp_idf", "main", groups=False, camera_files=_ESP_CAMERA,
                 ram_bytes=450 << 10, flash_bytes=3 << 20),
        Platform("zephyr", "zephyr", "app/src"),
        Platform("pico", "pico", "src", ram_bytes=264 << 10, flash_bytes=2 << 20),
        Platform("pico2", "pico", "src", ram_bytes=520 << 10, flash_bytes=4 << 20),
        Platform("generic", "generic", "src"),
        Platform("stm32", "stm32", "src"),
        Platform("host", "host", "src"),
    )
}  # fmt: skip


def find_platform(name: str) -> Platform:
    """Returns the platform called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in PLATFORMS:
        raise UserError(f"no platform is called {name!r}; choose one of {', '.join(PLATFORMS)}")
    return PLATFORMS[name]
