"""Store and keys are opened together: what does not belong together refuses to start, and says what to do."""

import sqlite3
from pathlib import Path

import pytest

from mailgate.footing import open_footing
from mailgate.runtime import SystemDice
from mailgate.settings import Settings
from mailgate.store.connections import StoreUnfit
from mailgate.vault import MAIL_KEYS, WEB_KEYS, KeysUnfit, new_key
from tests.builders import a_database


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A fresh gate's folder: four keys and an empty database."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    a_database(tmp_path / "mailgate.db")
    (tmp_path / "keys").mkdir()
    for name in MAIL_KEYS:
        (tmp_path / "keys" / name).write_bytes(new_key(SystemDice()))
    return Settings(folder=tmp_path)


async def start(settings: Settings, names: tuple[str, ...] = MAIL_KEYS) -> None:
    async with open_footing(settings, names) as footing:
        assert set(footing.keys.by_name) == set(names)


async def test_a_database_learns_its_keys_at_the_first_start_and_knows_them_at_the_next(settings: Settings) -> None:
    await start(settings)
    await start(settings)


@pytest.mark.parametrize("name", MAIL_KEYS)
async def test_a_wrong_key_refuses_to_start_and_is_named(settings: Settings, name: str) -> None:
    await start(settings)
    (settings.keys_dir / name).write_bytes(new_key(SystemDice()))
    with pytest.raises(KeysUnfit, match=f"the key file {name} is not the one"):
        await start(settings)


@pytest.mark.parametrize("name", MAIL_KEYS)
async def test_a_missing_key_refuses_to_start_and_is_named(settings: Settings, name: str) -> None:
    (settings.keys_dir / name).unlink()
    with pytest.raises(KeysUnfit, match=f"{name} is missing"):
        await start(settings)


async def test_a_new_key_below_the_old_one_starts_and_the_new_one_alone_does_not(settings: Settings) -> None:
    await start(settings)
    file, fresh = settings.keys_dir / "address", new_key(SystemDice())
    file.write_bytes(file.read_bytes() + fresh)
    await start(settings)
    file.write_bytes(fresh)
    with pytest.raises(KeysUnfit):
        await start(settings)


async def test_the_web_side_starts_without_the_keys_of_addresses(settings: Settings) -> None:
    await start(settings)
    for name in ("address", "lookup"):
        (settings.keys_dir / name).unlink()
    await start(settings, WEB_KEYS)


async def test_the_web_side_may_start_first(settings: Settings) -> None:
    await start(settings, WEB_KEYS)
    await start(settings)


async def test_a_missing_database_says_what_to_do(settings: Settings) -> None:
    settings.database.unlink()
    with pytest.raises(StoreUnfit, match="run `mailgate migrate`"):
        await start(settings)
    assert not settings.database.exists()


async def test_an_empty_file_says_what_to_do(settings: Settings) -> None:
    settings.database.write_bytes(b"")
    with pytest.raises(StoreUnfit, match="run `mailgate migrate`"):
        await start(settings)


async def test_a_newer_database_is_for_a_newer_program(settings: Settings) -> None:
    with sqlite3.connect(settings.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreUnfit, match="newer version of mailgate"):
        await start(settings)


async def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    settings.database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreUnfit, match="not a database"):
        await start(settings)


async def test_a_folder_in_the_databases_place_is_named(settings: Settings) -> None:
    settings.database.unlink()
    settings.database.mkdir()
    with pytest.raises(StoreUnfit, match="cannot be opened"):
        await start(settings)


async def test_a_database_broken_in_the_middle_is_named(settings: Settings) -> None:
    pages = bytearray(settings.database.read_bytes())
    pages[4096 * 3 :] = b"\xff" * (len(pages) - 4096 * 3)  # the version's table is before it
    settings.database.write_bytes(pages)
    with pytest.raises(StoreUnfit, match="restore it from a backup"):
        await start(settings)


async def test_a_database_whose_keys_table_is_broken_is_named(settings: Settings) -> None:
    pages = bytearray(settings.database.read_bytes())
    with sqlite3.connect(settings.database) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'key_check'").fetchone()
    connection.close()
    pages[4096 * (page - 1) : 4096 * page] = b"\xff" * 4096
    settings.database.write_bytes(pages)
    with pytest.raises(StoreUnfit, match="restore it from a backup"):
        await start(settings)


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "学校 のゲート"])
async def test_the_folder_may_have_any_name(settings: Settings, name: str) -> None:
    folder = settings.folder / name
    folder.mkdir()
    for each in ("keys", "mailgate.db"):
        (settings.folder / each).rename(folder / each)
    await start(Settings(folder=folder))
