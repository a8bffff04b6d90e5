"""Ports: what the sender asks of those who write its copies and keep its broadcasts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailgate.core.relay import Copy
from mailgate.store.outbox import Claimed


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmakeable:
    """There is no copy to be made of a row: never, or not now."""

    id: int
    permanent: bool


class Writer(Protocol):
    """Makes copies of claimed rows."""

    async def write(self, rows: Sequence[Claimed], give: Callable[[Sequence[Copy | Unmakeable]], None]) -> None:
        """Give one answer for each row, in any order, some at a time as they are made."""
        ...


class Expander(Protocol):
    """The life of broadcasts, as far as the sender drives it."""

    async def step(self) -> bool:
        """Expand one chunk of a confirmed broadcast. True: there may be more to do."""
        ...

    async def settle(self) -> None:
        """Let broadcasts end of which nothing is owed any more."""
        ...
