"""Signing: the key file, the command that makes it, batches on threads, and a whole gate whose mail somebody else's program verifies."""

import asyncio
import json
import stat
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path
from typing import Any

import dkim as dkimpy  # type: ignore[import-untyped]  # it has no types
import pytest
from click.testing import CliRunner, Result

from mailgate.cli import main
from mailgate.core.lines import Lines, lines
from mailgate.core.relay import Copy
from mailgate.journeys.ports import Unmakeable
from mailgate.journeys.signing import Signer, key_file, load_signing_key
from mailgate.letters.dkim import SigningKey, new_private_key, read_private_key, sign
from mailgate.vault import KeysUnfit
from tests.builders import Town
from tests.journeys.acts import a_gate, done, enrol, register, send
from tests.journeys.gate import DOMAIN, Gate
from tests.journeys.sink import Sink


def a_mail(number: int) -> Lines:
    return lines(b"From: renraku@gate.example.jp\r\nSubject: a\r\n\r\n%d\r\n" % number)


def a_folder(folder: Path, *, selector: str = "") -> Path:
    """A configuration file beside an empty folder of keys."""
    (folder / "keys").mkdir()
    config = folder / "mailgate.toml"
    config.write_text(f'[gate]\ndomain = "{DOMAIN}"\n[dkim]\nselector = "{selector}"\n', encoding="utf-8")
    return config


def keys_dkim(config: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(config), "keys", "dkim", *options])


def printed(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


# The key file


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    """A folder of keys that cannot be used, each for its own reason."""
    key_file(tmp_path, "empty").write_bytes(b"")
    key_file(tmp_path, "folder").mkdir()
    key_file(tmp_path, "text").write_bytes(b"AAAA\n")
    return tmp_path


@pytest.mark.parametrize(
    "selector, why",
    [("gone", "`mailgate keys dkim` makes it"), ("empty", "no private key"), ("text", "no private key"), ("folder", "cannot be read")],
)
def test_a_key_that_cannot_be_used_is_named_with_what_is_wrong(unreadable: Path, selector: str, why: str) -> None:
    with pytest.raises(KeysUnfit, match=why) as unfit:
        load_signing_key(unreadable, domain=DOMAIN, selector=selector)
    assert f"dkim.{selector}.pem" in str(unfit.value)


@pytest.mark.parametrize("content", [None, b"", b"AAAA\n"])
async def test_a_gate_without_its_key_does_not_start_and_says_which_it_misses(tmp_path: Path, gate: Gate, content: bytes | None) -> None:
    await gate.make(relay=9)
    text = gate.config.read_text(encoding="utf-8")
    gate.config.write_text(text.replace('selector = ""', 'selector = "s2026"'), encoding="utf-8")
    path = key_file(gate.folder / "keys", "s2026")
    if content is not None:
        path.write_bytes(content)
    serve = (sys.executable, "-m", "mailgate", "-c", str(gate.config), "serve", "mail")
    process = await create_subprocess_exec(*serve, stdout=PIPE, stderr=PIPE)
    _, err = await process.communicate()
    assert process.returncode == 78
    assert str(path) in err.decode()
    assert "Traceback" not in err.decode()


# The command


def test_the_command_makes_a_key_that_nobody_else_can_read_and_its_record(tmp_path: Path) -> None:
    told = printed(keys_dkim(a_folder(tmp_path), "--json"))
    path = tmp_path / "keys" / "dkim.mailgate.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert told == {
        "selector": "mailgate",
        "file": str(path),
        "made": True,
        "name": f"mailgate._domainkey.{DOMAIN}",
        "type": "TXT",
        "value": "".join(told["strings"]),
        "strings": told["strings"],
    }
    assert all(len(string) <= 255 for string in told["strings"])
    key = load_signing_key(tmp_path / "keys", domain=DOMAIN, selector="mailgate")
    assert dkimpy.verify(sign(a_mail(1), key), dnsfunc=lambda name, timeout: told["value"].encode())


def test_the_command_run_again_makes_nothing_and_prints_the_same(tmp_path: Path) -> None:
    config = a_folder(tmp_path, selector="s2026")
    first, second = printed(keys_dkim(config, "--json")), printed(keys_dkim(config, "--json"))
    assert first["selector"] == "s2026"
    assert {**first, "made": False} == second


def test_the_next_key_is_made_beside_the_one_in_use(tmp_path: Path) -> None:
    config = a_folder(tmp_path, selector="s2026")
    now, following = printed(keys_dkim(config, "--json")), printed(keys_dkim(config, "--selector", "s2027", "--json"))
    assert following["name"] == f"s2027._domainkey.{DOMAIN}"
    assert now["value"] != following["value"]
    assert len(list((tmp_path / "keys").iterdir())) == 2


def test_for_people_the_value_is_printed_as_zone_files_have_it(tmp_path: Path) -> None:
    config = a_folder(tmp_path)
    told, shown = printed(keys_dkim(config, "--json")), keys_dkim(config)
    assert f"\nname: mailgate._domainkey.{DOMAIN}\n" in shown.stdout
    assert "\nvalue: " + " ".join(f'"{string}"' for string in told["strings"]) + "\n" in shown.stdout
    assert 'selector = "mailgate"' in shown.stderr


def test_with_the_key_in_use_nothing_is_left_to_do(tmp_path: Path) -> None:
    assert keys_dkim(a_folder(tmp_path, selector="s2026")).stderr == ""


@pytest.mark.parametrize("selector", ["../x", "a/b", "S1", "a_b", "-a", "a..b", "x" * 41, "a\n"])
def test_a_selector_is_no_path_and_no_foreign_name(tmp_path: Path, selector: str) -> None:
    refused = keys_dkim(a_folder(tmp_path), "--selector", selector)
    assert (refused.exit_code, list((tmp_path / "keys").iterdir())) == (1, [])


@pytest.mark.parametrize("selector", ["../x", "S1", "x" * 41, "a\\n"])
def test_a_configured_selector_that_is_none_is_a_fault_of_the_configuration(tmp_path: Path, selector: str) -> None:
    refused = keys_dkim(a_folder(tmp_path, selector=selector))
    assert refused.exit_code == 78
    assert "dkim.selector: " in refused.stderr


def test_a_key_that_is_there_and_none_is_left_as_it_is(tmp_path: Path) -> None:
    config = a_folder(tmp_path)
    path = key_file(tmp_path / "keys", "mailgate")
    path.write_bytes(b"mine\n")
    refused = keys_dkim(config)
    assert (refused.exit_code, path.read_bytes()) == (78, b"mine\n")
    assert str(path) in refused.stderr


def test_without_a_folder_of_keys_nothing_is_made(tmp_path: Path) -> None:
    config = a_folder(tmp_path)
    (tmp_path / "keys").rmdir()
    refused = keys_dkim(config)
    assert refused.exit_code == 1
    assert "cannot be written" in refused.stderr


# Batches


def a_copy(number: int) -> Copy:
    return Copy(id=number, sender="b+x@gate.example.jp", recipient="a..b@docomo.ne.jp", content=a_mail(number))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
async def test_each_copy_of_a_batch_is_signed_and_nothing_else_of_it_changes(count: int) -> None:
    key = SigningKey(private=read_private_key(new_private_key()), domain=DOMAIN, selector="s")
    nothing = Unmakeable(id=-1, permanent=True)
    signed = await Signer(key).sign([*map(a_copy, range(count)), nothing])
    assert nothing in signed
    assert sorted(answer.id for answer in signed) == [-1, *range(count)]
    for answer in signed:
        if isinstance(answer, Copy):
            assert answer.content == sign(a_mail(answer.id), key)
            assert (answer.sender, answer.recipient) == ("b+x@gate.example.jp", "a..b@docomo.ne.jp")


class PatientSigner(Signer):
    """Signs when it is told to."""

    def __init__(self) -> None:
        self.given: list[list[Copy | Unmakeable]] = []
        self.may_sign = asyncio.Event()

    def sign(self, made: list[Copy | Unmakeable]) -> asyncio.Future[list[Copy | Unmakeable]]:
        self.given.append(made)
        return asyncio.ensure_future(self._signed(made))

    async def _signed(self, made: list[Copy | Unmakeable]) -> list[Copy | Unmakeable]:
        await self.may_sign.wait()
        return made


async def test_copies_are_made_while_the_last_of_those_before_are_being_signed(town: Town) -> None:
    for number in range(4):
        await town.post(f"a{number}@docomo.ne.jp", "touroku")
    rows = await town.claimed()
    signer = PatientSigner()
    town.writing._signer = signer
    given: list[Copy | Unmakeable] = []
    writes = [asyncio.create_task(town.writing.write(some, given.extend)) for some in (rows[:2], rows[2:])]
    while len(signer.given) < 2:
        await asyncio.sleep(0)
    assert given == []
    signer.may_sign.set()
    await asyncio.gather(*writes)
    assert sorted(answer.id for answer in given) == sorted(row.id for row in rows)


async def test_what_goes_over_the_wire_verifies_from_the_invitation_to_the_copy(gate: Gate, sink: Sink) -> None:
    relay = await sink.start()
    await gate.make(relay=relay)
    text = gate.config.read_text(encoding="utf-8")
    gate.config.write_text(text.replace('selector = ""', 'selector = "s2026"'), encoding="utf-8")
    record = await gate.run("keys", "dkim", "--json")
    await gate.run("school", "add", "kita-es", "--name", "北小学校", "--kind", "elementary", "--class", "3-1")
    await gate.start()
    pin = await enrol(gate, "t@kita-es.example.jp", "kita-es")
    await register(gate, sink, "a..b@docomo.ne.jp")
    await send(gate, sink, "t@kita-es.example.jp", "kita-es", pin=pin)
    await done(gate)
    assert await gate.stop() == 0
    txt = {f"s2026._domainkey.{DOMAIN}.".encode(): record["value"].encode()}
    assert [mail.recipient for mail in sink.caught].count("a..b@docomo.ne.jp") == 3
    assert all(dkimpy.verify(mail.content, dnsfunc=lambda name, timeout: txt.get(name)) for mail in sink.caught)


async def test_where_no_selector_is_set_the_relay_signs(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink)
    await gate.mail("a@docomo.ne.jp", f"touroku@{DOMAIN}")
    assert b"DKIM-Signature" not in (await sink.mail_to("a@docomo.ne.jp")).content
