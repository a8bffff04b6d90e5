"""Gates for the commands: made once by `init`, copied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.run import Commands, run

DOMAIN = "gate.example.jp"
URL = "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in ("MAILGATE_CONFIG", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command sets up its process's logging; here it is everybody's."""
    yield
    structlog.reset_defaults()


def made(folder: Path, *options: str) -> Path:
    result = run("init", str(folder), "--domain", DOMAIN, "--public-url", URL, *options)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="session")
def plain_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("plain") / "gate")


@pytest.fixture(scope="session")
def sample_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("sample") / "gate", "--sample")


@pytest.fixture
def gate(plain_original: Path, tmp_path: Path) -> Commands:
    """A fresh gate without schools."""
    return Commands(Path(shutil.copytree(plain_original, tmp_path / "gate")))


@pytest.fixture
def city(sample_original: Path, tmp_path: Path) -> Commands:
    """A fresh gate with the sample city."""
    return Commands(Path(shutil.copytree(sample_original, tmp_path / "city")))
