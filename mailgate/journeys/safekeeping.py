"""Safekeeping: mails kept whole and sealed: what made us stumble, and what goes on to the operator.

The envelope stands as lines before a mail's own headers, so that what was kept can be played again.
"""

from mailgate.core.addresses import NULL_PATH
from mailgate.core.inbound import Inbound
from mailgate.core.instants import Instant
from mailgate.runtime import Dice
from mailgate.store import kept
from mailgate.store.db import Tx
from mailgate.vault import AddressVault


class Safe:
    """Where whole mails are put."""

    def __init__(self, vault: AddressVault, dice: Dice) -> None:
        self._vault = vault
        self._dice = dice

    async def keep(self, tx: Tx, mail: Inbound, *, reason: str, now: Instant) -> int:
        """Keep a mail; under which id."""
        mail_id = self._dice.row_id()
        await kept.keep_mail(
            tx,
            mail_id=mail_id,
            reason=reason,
            sealed=self._vault.seal_mail(envelope_lines(mail) + mail.content, mail_id),
            octets=len(mail.content),
            now=now,
        )
        return mail_id


def envelope_lines(mail: Inbound) -> bytes:
    """The envelope of a kept mail, as lines before its own headers."""
    sender = "<>" if mail.sender is NULL_PATH else f"<{mail.sender.spec}>"
    lines = [f"X-Envelope-From: {sender}", *(f"X-Envelope-To: <{to.spec}>" for to in mail.recipients)]
    return "".join(line + "\r\n" for line in lines).encode()
