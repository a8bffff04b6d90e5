"""Gates to be struck, and disks to be filled and broken."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.disks import NoDisk, SmallDisk, WornDisk
from tests.crash.victim import a_template

MIB = 2**20


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample city, set up once for all."""
    return asyncio.run(a_template(tmp_path_factory.mktemp("crash") / "template"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        with SmallDisk(tmp_path, octets=16 * MIB) as disk:
            yield disk
    except NoDisk as error:
        pytest.skip(f"left out: {error}")


@pytest.fixture
def worn_disk(tmp_path: Path) -> Iterator[WornDisk]:
    try:
        with WornDisk(tmp_path, octets=48 * MIB) as disk:
            yield disk
    except NoDisk as error:
        pytest.skip(f"left out: {error}")
