"""The sink and the gate for whole-gate tests; a house of families for those inside one process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.builders import town
from tests.journeys.gate import Gate
from tests.journeys.house import house
from tests.journeys.sink import Sink

__all__ = ["gate", "house", "sink", "town"]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    server = Sink()
    yield server
    await server.stop()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    made = Gate(tmp_path / "gate")
    yield made
    await made.end()
