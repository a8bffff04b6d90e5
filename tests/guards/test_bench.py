"""The bench keeps the house's measures, and what it writes says what was measured."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import claims
from bench.drawing import drawing
from bench.figures import Spread, percentile, ratios, short
from bench.gates import made
from bench.ground import SMOKE
from bench.machine import Machine
from bench.parties import parties
from bench.processes import worker
from bench.report import Run, report
from bench.rounds import Played
from bench.senders import Figures
from bench.verdicts import verdicts
from tests.guards.repo import name, python_files
from tests.guards.test_shape import faults

MACHINE = Machine(
    processor="a & b", cores=2, memory_gib=8, kernel="Linux 6", python="3.11.2", sqlite="3.40.1", filesystem="ext4", fsync_ms=0.2
)


def a_run(**rates: list[float]) -> Run:
    """A run in which some parties had these rates, round by round, and the rest was left out."""
    titles = {party.key: party.title for party in parties(million=True)}
    figures: dict[str, list[Figures]] = {key: [{"rate": rate, "others": 0.01} for rate in given] for key, given in rates.items()}
    played = Played(titles, figures, {key: "it is not here" for key in titles if key not in rates})
    return Run(played=played, machine=MACHINE, sizes=SMOKE, begun=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), took_s=60, loads=(0.1, 2.0))


@pytest.mark.parametrize("path", python_files("bench"), ids=name)
def test_a_module_of_the_bench_fits_a_head_and_its_functions_a_screen(path: Path) -> None:
    assert list(faults(path.read_text())) == []


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert percentile([7.0], 0.99) == 7


def test_a_ratio_is_taken_inside_a_round() -> None:
    assert ratios([10, 30, 9], [20, 10]) == [0.5, 3]


@pytest.mark.parametrize(
    "value, text", [(16_249, "16,200"), (1_999.6, "2,000"), (123.4, "123"), (12.34, "12.3"), (0.876, "0.88"), (inf, "never")]
)
def test_a_number_has_three_figures(value: float, text: str) -> None:
    assert short(value) == text


def test_a_goal_is_held_against_the_median_and_what_was_not_measured_holds_nothing() -> None:
    run = a_run(drain=[8.0, 9.0, 5.0], source=[10.0, 10.0, 10.0])
    by_about = {verdict.about.split(" (")[0]: verdict for verdict in verdicts(run.played)}
    drain = by_about["our drain, times `smtp-source -d`"]
    assert drain.got == Spread(median=0.8, low=0.5, high=0.9)
    assert drain.holds
    assert by_about["our drain, times Postfix's"].holds is None


def test_a_goal_that_is_missed_is_said_so() -> None:
    assert "| **no** |" in report(a_run(drain=[1.0], source=[10.0]))


def test_the_report_names_what_was_left_out() -> None:
    page = report(a_run(drain=[1.0]))
    assert "- Postfix draining its own queue: it is not here." in page
    assert "our drain: it is not here" not in page


def test_the_drawing_is_xml_with_a_bar_for_each_rate() -> None:
    picture = ET.fromstring(drawing(a_run(drain=[1.0, 2.0], source=[10.0], postfix_takes=[3.0])))
    assert len(picture.findall("{http://www.w3.org/2000/svg}rect")) == 1 + 3


async def test_its_rows_fit_the_schema(tmp_path: Path) -> None:
    city = await made(tmp_path / "city", recipients=3)
    owing = await claims.owing(tmp_path / "owing", 5)
    for folder, table, count in ((city, "contact", 3), (city, "broadcast", 1), (owing, "outbox", 5)):
        with closing(sqlite3.connect(folder.database)) as connection:
            assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (count,)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_its_gate_runs_and_can_be_pointed_elsewhere(tmp_path: Path) -> None:
    folder = await made(tmp_path / "gate", recipients=1)
    folder.set_relay(2525, connections=3)
    relay = folder.settings().relay
    assert (relay.port, relay.connections) == (2525, 3)
    async with worker("gate", "serve", folder.path, log=tmp_path / "log") as gate:
        assert (await gate.hear())["port"]
        assert (await gate.ask("confirm"))["confirmed_at"]
        assert (await gate.ask("lateness")).keys() == {"p50", "p99", "max"}
