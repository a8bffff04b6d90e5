"""Passwords and PINs: argon2id off the loop, a few at a time.

OWASP's minimum (19 MiB, 2 passes, 1 lane): a login surge must neither stop the loop nor eat the memory, so at most two are worked on
at once and the rest wait.
"""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

_AT_ONCE: Final = 2

# The hash of a drawn secret that nobody has: what is verified for an ID that does not exist, at the same cost (MR-79), and what stands
# for a password that must not open anything any more.
NOBODYS: Final = "$argon2id$v=19$m=19456,t=2,p=1$VaK5WhYR3sBJIXWHKH8c7g$c5yN/RsV0u3KWAyid175NzxsrRi9Lq0g3IyoCm3lJl0"


class Passwords:
    """Hashes and verifies."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, secret: str) -> str:
        """The encoded hash of a secret."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, secret)

    async def matches(self, encoded: str, secret: str) -> bool:
        """Whether this is the secret of that hash."""
        async with self._places:
            return await asyncio.to_thread(self._verify, encoded, secret)

    def _verify(self, encoded: str, secret: str) -> bool:
        try:
            return self._hasher.verify(encoded, secret)
        except VerifyMismatchError:
            return False
