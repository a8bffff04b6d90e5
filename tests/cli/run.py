"""How these tests run commands, and what they expect of every refusal."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from mailgate.cli import main
from mailgate.runtime import SystemClock
from mailgate.store.db import Db
from mailgate.vault import MAIL_KEYS, load_keys
from tests.builders import Town
from tests.fakes import FakeClock

T = TypeVar("T")


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner(env=env).invoke(main, arguments, prog_name="mailgate")


def refused(result: Result, exit_code: int, *words: str) -> str:
    """The one line that says why; nothing else was printed, and there was no traceback."""
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, result.stdout) == (exit_code, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("mailgate: ")
    for word in words:
        assert word in line, line
    return line


@dataclass(frozen=True)
class Commands:
    """The commands of one gate."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "mailgate.toml"

    @property
    def database(self) -> Path:
        return self.folder / "mailgate.db"

    def run(self, *arguments: str) -> Result:
        return run("-c", str(self.config), *arguments)

    def ok(self, *arguments: str) -> str:
        """What a command prints that does its work."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.stderr or repr(result.exception)
        assert result.stderr == ""
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def refused(self, exit_code: int, *arguments: str, says: str = "") -> str:
        return refused(self.run(*arguments), exit_code, says)


def live(commands: Commands, work: Callable[[Town], Awaitable[T]]) -> T:
    """What happens in a gate between two commands."""

    async def happen() -> T:
        db = await Db.open(commands.database)
        try:
            keys = load_keys(commands.folder / "keys", MAIL_KEYS)
            return await work(Town(commands.database, db, keys, FakeClock(SystemClock().now())))
        finally:
            await db.close()

    return asyncio.run(happen())
