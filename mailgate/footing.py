"""The footing: what both sides and the commands stand on, the store and the keys, opened and checked against each other."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from mailgate.core.letters import House
from mailgate.journeys.links import Links
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.timekeeping import begun
from mailgate.runtime import Dice, KeptClock, SystemClock, SystemDice
from mailgate.settings import Settings
from mailgate.store import kept, migrate
from mailgate.store.connections import StoreUnfit, unfit
from mailgate.store.db import Db, Tx
from mailgate.vault import Digests, Keys, KeysUnfit, TextVault, load_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """What both sides stand on."""

    settings: Settings
    db: Db
    keys: Keys
    links: Links
    texts: TextVault
    digests: Digests
    passwords: Passwords
    house: House
    clock: KeptClock
    dice: Dice


@asynccontextmanager
async def open_footing(settings: Settings, names: tuple[str, ...]) -> AsyncIterator[Footing]:
    """The store and the keys, checked against each other, and the time, checked against the record of it.

    Raises:
        StoreUnfit, KeysUnfit, TimeUnknown: the text says what to do.
    """
    check_schema(settings.database)
    dice = SystemDice()
    keys = load_keys(settings.keys_dir, names)
    db = await Db.open(settings.database)
    try:
        clock = await _prove(db, keys, settings.database)
        yield Footing(
            settings=settings,
            db=db,
            keys=keys,
            links=Links(keys.ring("links"), settings.gate.public_url),
            texts=TextVault(keys, dice),
            digests=Digests(keys),
            passwords=Passwords(),
            house=house_of(settings),
            clock=clock,
            dice=dice,
        )
    finally:
        await db.close()


def check_schema(database: Path) -> None:
    """Nothing, if a database is of this version.

    Raises:
        StoreUnfit: the text says what to do.
    """
    if schema_of(database) != migrate.newest():
        raise StoreUnfit(f"the database {database} is not of this version: run `mailgate migrate`")


def schema_of(database: Path) -> str | None:
    """The version of a database; None: there is no file, or nobody has migrated it yet.

    Raises:
        StoreUnfit: it is no database, it is damaged, or a newer version of mailgate made it.
    """
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            is_migrated = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall() if is_migrated else []
    except sqlite3.Error as error:
        raise unfit(database, error) from None
    version = str(rows[0][0]) if rows else None
    if version is not None and version > migrate.newest():
        raise StoreUnfit(f"the database {database} is of a newer version of mailgate: install that one")
    return version


async def _prove(db: Db, keys: Keys, database: Path) -> KeptClock:
    try:
        async with db.write() as tx:
            await prove_keys(tx, keys)
            return await begun(tx, SystemClock())
    except sqlite3.Error as error:
        raise unfit(database, error) from None


async def prove_keys(tx: Tx, keys: Keys) -> None:
    """Compare each key with what this database knows of it; what it does not know yet, it learns.

    Raises:
        KeysUnfit: a key is not the one that this database was written with.
    """
    known = await kept.key_proofs(tx)
    for name, proofs in keys.proofs().items():
        if name not in known:
            await kept.add_key_proof(tx, key=name, proof=proofs[-1])
        elif known[name] not in proofs:
            raise KeysUnfit(f"the key file {name} is not the one that this database was written with: put the right one back")


def house_of(settings: Settings) -> House:
    """What every mail may mention."""
    gate = settings.gate
    return House(
        domain=gate.domain,
        name=gate.name,
        board=gate.board,
        public_url=gate.public_url.rstrip("/"),
        helpline=gate.helpline,
        timezone=gate.timezone,
        boxes=settings.boxes,
    )
