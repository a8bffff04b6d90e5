"""Answers: to whom an answer to a mail goes. Found out before the mail's transaction, because it may take a look at the network."""

from collections.abc import Sequence
from typing import Final

from mailgate.core import answering
from mailgate.core.addresses import Address
from mailgate.core.answering import Silent
from mailgate.core.authentication import Proof, Prover
from mailgate.core.headers import Headers
from mailgate.core.inbound import Inbound
from mailgate.core.routing import AskIds, Box, Join, Replies

# Boxes that answer by mail. For others nobody is asked, nor for a mail that gets no answer whatever is found out.
_ANSWERING: Final = (Join, AskIds, Replies)


class Answers:
    """Asks the prover where it matters."""

    def __init__(self, prover: Prover, *, domain: str) -> None:
        self._prover = prover
        self._domain = domain

    async def find(
        self, mail: Inbound, headers: Headers, boxes: Sequence[Box], silence: str | None
    ) -> tuple[Address | Silent, Proof]:
        """To whom an answer goes, or why none may go; and what was found out for that."""
        who = answering.candidate(mail, headers, reason=silence, domain=self._domain)
        if isinstance(who, Silent):
            return who, Proof()
        if not any(isinstance(box, _ANSWERING) for box in boxes):
            return Silent("not_asked"), Proof()
        proof = await self._prover.prove(mail, headers, to=who.to)
        return answering.answer(who, proof), proof
