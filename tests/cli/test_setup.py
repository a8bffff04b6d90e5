"""init, check-config, migrate: a gate comes into being, and nothing else is touched."""

import csv
import os
import sqlite3
import stat
import tomllib
from pathlib import Path

import pytest

from mailgate.runtime import SystemClock
from mailgate.settings import load
from mailgate.store.migrate import newest
from mailgate.vault import MAIL_KEYS, load_keys
from tests.cli.conftest import DOMAIN, URL
from tests.cli.run import Commands, refused, run
from tests.conftest import ROOT

GOOD = ("--domain", DOMAIN, "--public-url", URL)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# init


def test_init_makes_a_gate_that_works_at_once(gate: Commands) -> None:
    assert {path.name for path in gate.folder.iterdir()} >= {"mailgate.toml", "mailgate.db", "keys", "tls.crt", "tls.key"}
    assert {path.name for path in (gate.folder / "keys").iterdir()} == set(MAIL_KEYS)
    assert "is good" in gate.ok("check-config")
    assert gate.json("school", "list") == []
    settings = load(gate.config)
    assert (settings.gate.domain, settings.gate.public_url, settings.tls.cert) == (DOMAIN, URL, "tls.crt")


def test_keys_and_database_are_nobody_elses_to_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert run("init", str(tmp_path / "gate"), *GOOD).exit_code == 0
    finally:
        os.umask(before)
    folder = tmp_path / "gate"
    assert mode(folder / "keys") == 0o700
    for name in (*(f"keys/{key}" for key in MAIL_KEYS), "mailgate.db", "tls.key"):
        assert mode(folder / name) == 0o600, name


def test_every_gate_has_keys_of_its_own(gate: Commands, tmp_path: Path) -> None:
    run("init", str(tmp_path / "other"), *GOOD)
    mine, others = (load_keys(folder / "keys", MAIL_KEYS) for folder in (gate.folder, tmp_path / "other"))
    rings = [keys.ring(name) for keys in (mine, others) for name in MAIL_KEYS]
    assert len(set(rings)) == 2 * len(MAIL_KEYS)


def test_init_takes_an_empty_folder_and_makes_those_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    assert run("init", str(tmp_path / "empty"), *GOOD).exit_code == 0
    assert run("init", str(tmp_path / "a" / "b" / "c"), *GOOD).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert run("init", "relative", *GOOD).exit_code == 0
    assert Commands(tmp_path / "relative").json("school", "list") == []


def test_init_leaves_a_folder_alone_that_is_not_empty(gate: Commands, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in gate.folder.rglob("*") if path.is_file()}
    refused(run("init", str(gate.folder), *GOOD), 1, "is not empty")
    assert before == {path: path.read_bytes() for path in gate.folder.rglob("*") if path.is_file()}
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / ".keep").touch()
    refused(run("init", str(tmp_path / "hidden"), *GOOD), 1, "is not empty")


def test_every_option_is_in_the_configuration_and_its_comments_stay(tmp_path: Path) -> None:
    options = ("--smtp", "0.0.0.0:25", "--submission", "0.0.0.0:587", "--web", "[::1]:80", "--relay", "[2001:db8::1]:2525")
    assert run("init", str(tmp_path / "gate"), "--domain", DOMAIN, "--public-url", "https://touroku.example.jp/", *options).exit_code == 0
    text = (tmp_path / "gate" / "mailgate.toml").read_text(encoding="utf-8")
    settings = load(tmp_path / "gate" / "mailgate.toml")
    assert settings.gate.public_url == "https://touroku.example.jp"
    assert (settings.smtp.listen, settings.submission.listen, settings.web.listen) == (("0.0.0.0:25",), ("0.0.0.0:587",), "[::1]:80")
    assert (settings.relay.host, settings.relay.port) == ("2001:db8::1", 2525)
    assert text.count("#") >= 20
    assert tomllib.loads(text)["dns"]["servers"] == "system"


@pytest.mark.parametrize(
    "options, says",
    [
        (("--domain", "Gate.jp", "--public-url", URL), "gate.domain"),
        (("--domain", 'x"\ny = "z', "--public-url", URL), "gate.domain"),
        (("--domain", "a" * 64 + ".jp", "--public-url", URL), "gate.domain"),
        (("--domain", DOMAIN, "--public-url", "http://touroku.example.jp"), "gate.public_url"),
        (("--domain", "localhost", "--public-url", URL), "gate.operator"),
        ((*GOOD, "--relay", "relay.example.jp"), "--relay"),
        ((*GOOD, "--relay", "relay.example.jp:0"), "relay.port"),
        ((*GOOD, "--smtp", "25"), "smtp.listen"),
        ((*GOOD, "--submission", "587"), "submission.listen"),
        ((*GOOD, "--web", "80"), "web.listen"),
        (("--domain", DOMAIN), "--public-url"),
        (("--public-url", URL), "--domain"),
    ],
)
def test_a_wrong_option_is_2_and_nothing_is_made(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    result = run("init", str(tmp_path / "gate"), *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert not (tmp_path / "gate").exists()


def test_a_long_domain_is_no_obstacle(tmp_path: Path) -> None:
    domain = ".".join(["a" * 60] * 3)
    assert run("init", str(tmp_path / "gate"), "--domain", domain, "--public-url", URL).exit_code == 0


def test_where_nothing_can_be_made_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run("init", str(tmp_path / "file"), *GOOD).exit_code == 2
    refused(run("init", str(tmp_path / "file" / "gate"), *GOOD), 1, "cannot be set up", "Not a directory")


def test_the_sample_city_is_loaded_in_seconds(tmp_path: Path) -> None:
    clock = SystemClock()
    start = clock.monotonic()
    result = run("init", str(tmp_path / "gate"), *GOOD, "--sample")
    assert (result.exit_code, result.stderr) == (0, "")
    assert clock.monotonic() - start < 15  # 5 on a machine that does nothing else
    assert load(tmp_path / "gate" / "mailgate.toml").dns.servers == "none"


def test_no_address_of_the_sample_city_lies_open(city: Commands) -> None:
    stored = city.database.read_bytes()
    with sqlite3.connect(city.database) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM address").fetchone()
    connection.close()
    files = [ROOT / "data" / "sample" / name for name in ("contacts.csv", "staff.csv")]
    addresses = {row["address"] for file in files for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())}
    assert count == len(addresses) > 1500
    found = [address for address in addresses if address.encode() in stored or address.partition("@")[0].encode() in stored]
    assert found == []


def test_the_demo_leaves_a_folder_alone_that_is_not_empty(gate: Commands) -> None:
    refused(run("demo", "--exit", "--keep", str(gate.folder)), 1, "is not empty")
    assert gate.json("school", "list") == []


# check-config, migrate


def test_check_config_says_all_that_is_wrong_and_opens_nothing(gate: Commands) -> None:
    gate.database.unlink()
    assert "is good" in gate.ok("check-config")
    gate.config.write_text('[gate]\ndomain = "X"\ntimezone = "Y"\n[relay]\nprot = 25\n', encoding="utf-8")
    result = gate.run("check-config")
    assert (result.exit_code, result.stdout) == (78, "")
    assert sorted(line.removeprefix("mailgate: ").split(":")[0] for line in result.stderr.splitlines()) == [
        "gate.domain", "gate.timezone", "relay.prot",
    ]  # fmt: skip


def test_migrate_makes_a_database_that_is_nobody_elses_to_read(gate: Commands) -> None:
    gate.database.unlink()
    before = os.umask(0)
    try:
        assert f"schema {newest()}" in gate.ok("migrate")
    finally:
        os.umask(before)
    assert mode(gate.database) == 0o600
    assert gate.json("school", "list") == []


def test_migrate_again_changes_nothing(city: Commands) -> None:
    before = city.json("school", "list")
    assert city.ok("migrate") == city.ok("migrate")
    assert city.json("school", "list") == before


def test_migrate_needs_the_folder(gate: Commands) -> None:
    gate.config.write_text('store.url = "sqlite:///none/mailgate.db"\n')
    gate.refused(1, "migrate", says="none is missing")
