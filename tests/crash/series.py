"""A series of kills in one folder: traffic of all kinds, a death at some instant, a new start, and the verdict; again and again.

Instants are dealt from a deck: at random over the time that a round takes; at the n-th line, dot or answer at the sink (killed by the sink
itself); right behind the answer to a blank mail, a form, a bounce, a receipt; while a confirmed broadcast is expanded; and, after some of
them, once more in the first second of the new life. All that is drawn comes from one seed, and a fault says the plan it came of.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, cast, get_args

from tests.crash.city import CHUNK, City, pause
from tests.crash.record import Point
from tests.crash.traffic import Moment
from tests.crash.verdict import Verdict
from tests.crash.victim import ONE, SPLIT, Side

_CHUNKS: Final = (25, 200, 50_000)
# A sender that is careful (test_care.py) has one copy in flight: here the window is struck full, however often.
_CARE: Final = "mailgate.core.care._WITHIN"
_PACES_S: Final = (0.0, 0.002, 0.01)
_FAULTS_TOLD: Final = 10
_VICTIMS: Final[tuple[tuple[Side, ...], ...]] = (("mail",), ("web",), SPLIT)
_DECK: Final = (*["time"] * 4, *["expansion"] * 3, *get_args(Point) * 2, *get_args(Moment))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When who dies, and what else is drawn for a round."""

    victims: tuple[Side, ...]
    at: str  # "time", "expansion", a Point or a Moment
    nth: int = 1
    after_s: float = 0.0
    again_s: float | None = None  # and once more, so long after the new start
    pace_s: float = 0.0
    down_s: float = 0.0

    @property
    def kind(self) -> str:
        if self.at in get_args(Point):
            return f"at the sink: {self.at}"
        return f"behind the answer: {self.at}" if self.at in get_args(Moment) else f"at random: {self.at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One kill, and what came of it."""

    victims: tuple[Side, ...]
    kind: str
    start_s: float | None  # until the gate served again; None: it was killed before that
    doubled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round's deaths, and what was wrong at its end."""

    deaths: tuple[Death, ...]
    faults: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What came of a whole series."""

    rounds: list[Round] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    promises: int = 0

    @property
    def deaths(self) -> list[Death]:
        return [death for one in self.rounds for death in one.deaths]

    @property
    def faults(self) -> list[str]:
        return [fault for one in self.rounds for fault in one.faults]


def dealt(count: int, *, seed: str) -> list[str]:
    """So many instants: every kind comes before one comes again as often as it is in the deck."""
    dice = Random(seed)
    instants: list[str] = []
    while len(instants) < count:
        instants += dice.sample(_DECK, len(_DECK))
    return instants[:count]


def drawn(at: str, dice: Random, *, one: bool) -> Plan:
    """The rest of a plan."""
    at_sink = at in get_args(Point)
    victims = ONE if one else dice.choices(_VICTIMS, [6, 0 if at_sink else 1, 3])[0]  # the web side never speaks to the sink
    nth = {"line": 9_000, "dot": 1_900, "answer": 1_900, "invited": 4}
    after_s = {"time": dice.uniform(0, 1.6), "expansion": dice.uniform(0, 0.4)}
    return Plan(
        victims=victims,
        at=at,
        nth=dice.randrange(1, nth[at]) if at in nth else 1,
        after_s=after_s.get(at, dice.choice((0.0, 0.0, dice.uniform(0, 0.02)))),
        again_s=dice.uniform(0, 1) if dice.random() < 0.15 else None,
        pace_s=dice.choice(_PACES_S),
        down_s=dice.uniform(0, 0.3),
    )


class Series:
    """Kills one gate again and again."""

    def __init__(self, folder: Path, template: Path, *, seed: str, one: bool) -> None:
        self._dice = Random(seed)
        self._one = one  # both sides in one process
        self._city = City(
            folder,
            template,
            sides=ONE if self._one else SPLIT,
            constants={CHUNK: self._dice.choice(_CHUNKS), _CARE: -1},
            dice=self._dice,
            passes=self._passes,
        )
        self._plan: Plan | None = None
        self._answers_left = 0
        self._struck = asyncio.Event()

    async def run(self, instants: list[str], *, tell: Callable[[Round], None] = lambda _: None) -> Outcome:
        """As many kills as there are instants, and an orderly stop at the end; a fault ends the series."""
        outcome = Outcome()
        async with self._city as city:
            await city.server.order("set", pipelining=self._dice.random() < 0.75)
            for at in instants:
                done = await self._round(drawn(at, self._dice, one=self._one))
                outcome.rounds.append(done)
                tell(done)
                if done.faults:
                    return outcome
                if len(outcome.deaths) >= len(instants):
                    break
            outcome.verdict = city.verdict()
            outcome.promises = city.traffic.promises.count
            codes = await city.victim.stop()
            if set(codes.values()) != {0}:
                outcome.rounds.append(Round(deaths=(), faults=(f"a SIGTERM at the end gave {codes}",)))
        return outcome

    async def _round(self, plan: Plan) -> Round:
        """Traffic with a death in it, or two."""
        city = self._city
        deaths: list[tuple[str, int | None, float | None]] = []
        try:
            async with asyncio.TaskGroup() as group:
                await self._arm(plan)
                traffic = group.create_task(city.traffic.one_round())
                group.create_task(self._die(plan, traffic, deaths))
            await city.settled()
        except* AssertionError as error:
            faults = [str(leaf) for leaf in _leaves(error)]
            verdict = Verdict()
        else:
            verdict = city.verdict()
            faults = verdict.faults + city.victim.complaints()
        return Round(
            deaths=tuple(
                Death(
                    victims=plan.victims,
                    kind=kind,
                    start_s=start_s,
                    doubled=0 if epoch is None else verdict.doubled_by[epoch],
                )
                for kind, epoch, start_s in deaths
            ),
            faults=(*faults[:_FAULTS_TOLD], f"{len(faults)} in all, of {plan}") if faults else (),
        )

    async def _arm(self, plan: Plan) -> None:
        city = self._city
        self._struck.clear()
        city.server.fired.clear()
        await city.server.order("set", pace_s=plan.pace_s)
        if plan.at in get_args(Point):
            await city.server.kill_at(cast("Point", plan.at), nth=plan.nth, pids=city.victim.pids(*plan.victims))
            return
        self._plan, self._answers_left = plan, plan.nth
        if plan.at == "time":
            self._passes("time")

    def _passes(self, moment: str) -> None:
        """An answer was given; perhaps this is the instant."""
        plan = self._plan
        if plan is None or moment != ("confirmed" if plan.at == "expansion" else plan.at):
            return
        self._answers_left -= 1
        if self._answers_left == 0 and plan.after_s:
            asyncio.get_running_loop().call_later(plan.after_s, self._strike, plan)
        elif self._answers_left == 0:
            self._strike(plan)

    def _strike(self, plan: Plan) -> None:
        if self._plan is plan:
            self._city.victim.strike(*plan.victims)
            self._struck.set()

    async def _die(
        self, plan: Plan, traffic: "asyncio.Task[None]", deaths: list[tuple[str, int | None, float | None]]
    ) -> None:
        """Wait for the instant; where it does not come, what is killed is a gate that has nothing to do."""
        victim, server = self._city.victim, self._city.server
        instants = [asyncio.create_task(self._struck.wait()), asyncio.create_task(server.fired.wait())]
        quiet = asyncio.create_task(self._quiet(traffic))
        await asyncio.wait({*instants, quiet}, return_when=asyncio.FIRST_COMPLETED)
        kind = plan.kind if any(instant.done() for instant in instants) else "when all was quiet"
        for waiting in (*instants, quiet):
            waiting.cancel()
        self._plan = None
        await server.order("spare")
        epoch = await self._bury(plan)
        await pause(plan.down_s)
        if plan.again_s is not None:
            deaths.append((kind, epoch, None))
            for side in plan.victims:
                await victim.launch(side)
            await pause(plan.again_s)
            epoch, kind = await self._bury(plan), "in the first second"
        deaths.append((kind, epoch, await victim.start()))

    async def _quiet(self, traffic: "asyncio.Task[None]") -> None:
        await asyncio.wait({traffic})
        with contextlib.suppress(AssertionError):  # what is still owed after so long is found again after the kill
            await self._city.settled()

    async def _bury(self, plan: Plan) -> int | None:
        """The epoch that has ended with them, if any."""
        await self._city.victim.bury(*plan.victims)
        return None if plan.victims == ("web",) else await self._city.server.next_epoch()


def _leaves(group: BaseExceptionGroup[AssertionError]) -> Iterator[AssertionError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
