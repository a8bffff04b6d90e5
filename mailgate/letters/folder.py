"""Where the templates are: an installed package carries them inside, a checkout has them beside it."""

from pathlib import Path

import mailgate


def templates_dir(package: Path = Path(mailgate.__file__).parent) -> Path:
    """The folder that holds `mail/` and `web/`."""
    installed = package / "_templates"
    return installed if installed.is_dir() else package.parent / "templates"
