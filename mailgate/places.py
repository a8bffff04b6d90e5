"""Where the project's own files are: an installed package carries them inside, a checkout has them beside it."""

from pathlib import Path
from typing import Final, Literal

_PACKAGE: Final = Path(__file__).parent


def folder(name: Literal["templates", "data", "systemd"], package: Path = _PACKAGE) -> Path:
    """The folder of that name."""
    installed = package / f"_{name}"
    return installed if installed.is_dir() else package.parent / name
