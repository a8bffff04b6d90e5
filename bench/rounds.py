"""Rounds: everything is measured in turn, A B C A B C, so that a machine that slows down slows all alike.

What cannot be measured here is left out by name; what breaks is left out from then on and said so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench import machine
from bench.figures import ratios
from bench.ground import Ground
from bench.parties import Party
from bench.processes import Failed
from bench.senders import Figures

OTHERS = "others"  # the share of the machine that other programs took meanwhile


@dataclass(slots=True)
class Played:
    """The figures of every party, round by round, and why some have none."""

    titles: Mapping[str, str]
    figures: dict[str, list[Figures]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    def of(self, key: str, name: str = "rate") -> list[float]:
        """One figure of a party, round by round; empty if there is none."""
        return [figures[name] for figures in self.figures.get(key, []) if name in figures]

    def beside(self, key: str, other: str, name: str = "rate") -> list[float]:
        """A figure as so many times another party's, round by round."""
        return ratios(self.of(key, name), self.of(other, name))


async def play(parties: Sequence[Party], ground: Ground, *, patience_s: float, tell: Callable[[str], None]) -> Played:
    """All rounds. Before each measurement others may come to rest, for so long at most."""
    played = Played({party.key: party.title for party in parties})
    for party in parties:
        reason = party.missing()
        if reason is not None:
            played.left_out[party.key] = reason
            tell(f"left out: {party.title}: {reason}")
    for number in range(ground.sizes.rounds):
        for party in parties:
            if party.key not in played.left_out and (party.key != "million" or number == 0):
                await machine.quiet(patience_s)
                await _measure(party, ground, played, tell, number)
    return played


async def _measure(party: Party, ground: Ground, played: Played, tell: Callable[[str], None], number: int) -> None:
    share = machine.others_share()
    try:
        figures = await party.once(ground)
    except (Failed, TimeoutError, ValueError, OSError) as error:
        played.left_out[party.key] = f"broke off: {type(error).__name__} {error}"
        played.broken = True
        tell(f"round {number + 1}: {party.title}: {played.left_out[party.key]}")
        return
    played.figures.setdefault(party.key, []).append({**figures, OTHERS: share()})
    shown = ", ".join(f"{name} {value:,.2f}" for name, value in played.figures[party.key][-1].items())
    tell(f"round {number + 1}: {party.title}: {shown}")
