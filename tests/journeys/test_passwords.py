"""Passwords: the real ones and the cheap ones of other tests keep the same promises."""

import asyncio

import pytest

from mailgate.journeys.passwords import Passwords
from tests.fakes import CheapPasswords


@pytest.fixture(params=[Passwords, CheapPasswords])
def passwords(request: pytest.FixtureRequest) -> Passwords:
    made = request.param()
    assert isinstance(made, Passwords)
    return made


@pytest.mark.parametrize("secret", ["yuki-no-asa-5", "135790", "ひみつのことば", "x" * 128, ""])
async def test_a_secret_matches_its_own_hash_and_no_other(passwords: Passwords, secret: str) -> None:
    encoded = await passwords.hash(secret)
    assert secret == "" or secret not in encoded
    assert await passwords.matches(encoded, secret)
    assert not await passwords.matches(encoded, secret + "x")


async def test_the_same_secret_is_never_hashed_the_same(passwords: Passwords) -> None:
    assert len({await passwords.hash("135790") for _ in range(3)}) == 3


async def test_hashing_does_not_stop_the_loop(passwords: Passwords) -> None:
    turns = 0
    work = asyncio.gather(*(passwords.hash("x") for _ in range(4)))
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(set(await work)) == 4
    assert turns > 4


async def test_the_real_ones_cost_what_owasp_asks_at_least() -> None:
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in await Passwords().hash("x")
