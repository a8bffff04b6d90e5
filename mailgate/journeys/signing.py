"""Sign: what goes out leaves with our DKIM signature, where the relay does not put its own on it.

A signature costs thirty times what the rest of a copy costs, and nearly all of it is arithmetic that needs no interpreter. So copies go
to two threads, a few at a time and ahead of the wire, and the loop goes on meanwhile.

The key is a file beside the others, `dkim.SELECTOR.pem`: a new key has a new selector, so two of them stand side by side while the DNS
learns the second one.
"""

import asyncio
from asyncio import Future
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from mailgate.core.relay import Copy
from mailgate.journeys.ports import Unmakeable
from mailgate.letters.dkim import BadKey, SigningKey, read_private_key, sign
from mailgate.vault import KeysUnfit

_THREADS: Final = 2


def key_file(directory: Path, selector: str) -> Path:
    """Where the key of a selector is."""
    return directory / f"dkim.{selector}.pem"


def load_signing_key(directory: Path, *, domain: str, selector: str) -> SigningKey:
    """Read the key of a selector.

    Raises:
        KeysUnfit: there is none, or none that can be used.
    """
    path = key_file(directory, selector)
    try:
        private = read_private_key(path.read_bytes())
    except FileNotFoundError:
        raise KeysUnfit(
            f"the DKIM key {path} is missing: `mailgate keys dkim` makes it, and a unit of systemd needs a line that hands it over"
        ) from None
    except OSError as error:
        raise KeysUnfit(f"the DKIM key {path} cannot be read ({error.strerror}): let the mailgate user read it") from None
    except BadKey as error:
        raise KeysUnfit(f"the DKIM key {path} is of no use: {error}") from None
    return SigningKey(private=private, domain=domain, selector=selector)


class Signer:
    """Signs copies, some at a time."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="dkim")

    def sign(self, made: list[Copy | Unmakeable]) -> Future[list[Copy | Unmakeable]]:
        """The same answers, each copy signed: by one thread, when it has done what it was given before."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._sign, made)

    def _sign(self, made: list[Copy | Unmakeable]) -> list[Copy | Unmakeable]:
        return [
            answer._replace(content=sign(answer.content, self._key)) if isinstance(answer, Copy) else answer for answer in made
        ]
