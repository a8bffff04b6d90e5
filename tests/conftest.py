"""What every test may ask for. Rooms have builders and fakes of their own beside their tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """A folder for what a person may want to look at after a run: screenshots, logs. Git does not see it."""
    folder = ROOT / "test-artefacts"
    folder.mkdir(exist_ok=True)
    return folder
