"""The stage: what every act of the demo works with."""

from dataclasses import dataclass
from typing import Final

from mailgate.demo import wire
from mailgate.demo.catcher import Catcher, Caught
from mailgate.demo.city import City
from mailgate.demo.gate import DOMAIN, Gate
from mailgate.demo.mails import Pen
from mailgate.demo.story import Amiss, Story
from mailgate.demo.wire import Outgoing
from mailgate.runtime import Clock

SINGLE_MAIL_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The gate, the city around it, and the story that is told."""

    gate: Gate
    catcher: Catcher
    city: City
    story: Story
    pen: Pen
    clock: Clock

    async def hand_in(self, mail: Outgoing) -> None:
        """Send a mail to the gate.

        Raises:
            Amiss: it was not taken.
        """
        await wire.hand_in(self.gate.smtp_port, mail)

    async def next_mail(self, recipient: str, *, since: int, what: str) -> Caught:
        """The first mail to a recipient after the first `since` that were caught.

        Raises:
            Amiss: none came.
        """
        if not await self.catcher.until(lambda: bool(self.catcher.to(recipient, since=since)), timeout_s=SINGLE_MAIL_S):
            raise Amiss(f"{what} did not come to {recipient} within {SINGLE_MAIL_S:.0f} s")
        return self.catcher.to(recipient, since=since)[0]


def box(local: str, tag: str = "") -> str:
    """An address of the gate."""
    return f"{local}+{tag}@{DOMAIN}" if tag else f"{local}@{DOMAIN}"
