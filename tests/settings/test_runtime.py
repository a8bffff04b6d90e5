"""The gate's clock over the machine's: it goes on when that one jumps, and says so."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate import runtime
from mailgate.core.instants import HOUR, MINUTE, SECOND, Instant, later
from mailgate.core.timekeeping import SETTLING, Moment
from mailgate.runtime import SteadyClock, SystemClock, SystemDice
from tests.fakes import NEW_YEAR_2026


class Machine(SystemClock):
    """A machine whose time stands still until it is told."""

    def __init__(self, *, uptime: int = SETTLING) -> None:
        self.wall = NEW_YEAR_2026
        self.up = uptime

    def now(self) -> Instant:
        return self.wall

    def uptime(self) -> int:
        return self.up

    def boot(self) -> str:
        return "b"

    def pass_(self, microseconds: int, *, jump: int = 0) -> None:
        self.up += microseconds
        self.wall = later(self.wall, microseconds + jump)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_is_not_followed_and_told_until_it_is_taken_back(jump: int) -> None:
    machine = Machine()
    clock = SteadyClock(machine, machine.moment())
    machine.pass_(SECOND, jump=jump)
    assert (clock.now() - NEW_YEAR_2026, clock.doubt()) == (SECOND, jump)
    machine.pass_(MINUTE)
    assert (clock.now() - NEW_YEAR_2026, clock.doubt()) == (SECOND + MINUTE, jump)
    machine.pass_(MINUTE, jump=-jump)
    assert (clock.now(), clock.doubt()) == (machine.wall, 0)


def test_the_time_of_the_network_is_believed_while_the_boot_settles_and_not_later() -> None:
    for uptime, believed in ((0, True), (SETTLING - SECOND, False)):
        machine = Machine(uptime=uptime)
        clock = SteadyClock(machine, replace(machine.moment(), limit=later(machine.wall, 2 * HOUR)))
        machine.pass_(2 * SECOND, jump=HOUR)
        assert (clock.doubt() == 0) is believed


def test_what_is_written_down_is_the_gates_time_and_the_machines_boot() -> None:
    machine = Machine()
    clock = SteadyClock(machine, machine.moment())
    machine.pass_(SECOND, jump=HOUR)
    assert clock.moment() == Moment(at=later(NEW_YEAR_2026, SECOND), boot="b", uptime=SETTLING + SECOND)
    assert machine.moment() == Moment(at=machine.wall, boot="b", uptime=SETTLING + SECOND)


def test_the_machine_goes_forward_on_both_its_clocks() -> None:
    machine = SystemClock()
    before, uptime, monotonic = machine.now(), machine.uptime(), machine.monotonic()
    assert machine.uptime() >= uptime > 0
    assert machine.monotonic() >= monotonic
    assert machine.now() >= before


def test_a_boot_is_known_by_its_id_however_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "boot_id"
    file.write_text("0f-0e\n", encoding="ascii")
    monkeypatch.setattr(runtime, "_BOOT_FILE", file)
    monkeypatch.delenv("MAILGATE_BOOT", raising=False)
    assert SystemClock().boot() == "0f0e"
    monkeypatch.setenv("MAILGATE_BOOT", "0f0e")  # as a unit hands it over, where the file is not to be seen
    file.unlink()
    assert SystemClock().boot() == "0f0e"
    monkeypatch.delenv("MAILGATE_BOOT")
    assert SystemClock().boot() == ""


def test_ids_are_drawn_in_the_order_of_time_and_fit_the_store() -> None:
    dice = SystemDice()
    first = [dice.row_id() for _ in range(100)]
    began = time.monotonic_ns()
    while time.monotonic_ns() - began < 2_000_000:
        pass
    then = [dice.row_id() for _ in range(100)]
    assert max(first) < min(then)
    assert 0 < max(then) < 2**62
    assert len({*first, *then}) > 190  # so many within a millisecond hardly meet
