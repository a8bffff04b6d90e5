"""Parties: all that is measured, in the order in which a round measures it."""

from typing import Protocol

from bench.claims import owing
from bench.gates import Folder
from bench.ground import Ground
from bench.processes import worker
from bench.senders import Drain, Figures, Plain, PostfixDrain, Reference
from bench.takers import BareTrips, GateTakes, PostfixTakes, RoundTrips


class Party(Protocol):
    """Something that is measured once in each round."""

    @property
    def key(self) -> str:
        """Its name in this code."""
        ...

    @property
    def title(self) -> str:
        """Its name in the tables."""
        ...

    def missing(self) -> str | None:
        """Why it cannot be measured here, or None."""
        ...

    async def once(self, ground: Ground) -> Figures:
        """Measure it; its figures by name. Whatever it started has ended."""
        ...


class Claims:
    """A claim of 500 rows in a smaller and in a larger database, in turn. They are made in the first round and asked in all."""

    key, title = "claims", "claim of 500 rows"

    def __init__(self) -> None:
        self._folders: list[Folder] = []

    def missing(self) -> str | None:
        return None

    async def once(self, ground: Ground) -> Figures:
        if not self._folders:
            self._folders = [await owing(ground.new("owing"), rows) for rows in ground.sizes.rows]
        paths = [folder.path for folder in self._folders]
        async with worker("claims", *paths, ground.sizes.claims, log=ground.log) as asked:
            said = await asked.hear()
        return {name: float(value) for name, value in said.items()}


def parties(*, million: bool) -> list[Party]:
    """Everything, in turn."""
    return [
        Reference(),
        Drain(key="drain", title="our drain", size="city"),
        Drain(key="overlapped", title="our drain, `relay.overlap`", size="city", overlap=True),
        Drain(key="signed", title="our drain, RSA-2048", size="slow", signed=True),
        Plain(key="plain", title="the same outbox, plain aiosmtplib on uvloop", loop="uvloop"),
        Plain(key="as_it_comes", title="the same outbox, plain aiosmtplib as it comes, on asyncio's loop", loop="asyncio"),
        PostfixDrain(),
        GateTakes(key="takes", title="our gate", sends=False),
        PostfixTakes(key="postfix_takes", title="Postfix's smtpd, same visitors", by_source=False),
        PostfixTakes(key="postfix_source", title="Postfix's smtpd, `smtp-source`", by_source=True),
        GateTakes(key="takes_and_sends", title="our gate, invitations leaving meanwhile", sends=True),
        BareTrips(),
        RoundTrips(),
        Claims(),
        Drain(key="far", title="our drain over 50 ms, 20 connections", size="far", delay_ms=25, connections=20),
        *([Drain(key="million", title="our drain, 1,000,000 recipients", size="million")] if million else []),
    ]
