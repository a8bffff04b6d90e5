"""The configuration: all that is wrong is said at once, each fault with its key."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailgate.core.hostport import split_hostport
from mailgate.settings import Settings, SettingsUnfit, load, parse

FOLDER = Path("/etc/mailgate")


def faults(text: str) -> list[str]:
    """What is wrong with a configuration, line by line."""
    with pytest.raises(SettingsUnfit) as caught:
        parse(text, folder=FOLDER)
    return caught.value.faults


def keys_of(text: str) -> list[str]:
    """The keys that its faults name first."""
    return [fault.split(":")[0] for fault in faults(text)]


def test_an_empty_file_is_every_default() -> None:
    assert parse("", folder=Path()) == Settings()


def test_all_faults_are_named_at_once_whatever_they_are() -> None:
    text = """
        [gate]
        domain = "Gate.example.jp"
        publik_url = "https://touroku.example.jp"
        timezone = "Asia/Edo"
        helpline = 119
        [relay]
        port = 0
        tls = "maybe"
        [smpt]
        listen = ["127.0.0.1:25"]
        [web]
        listen = "8080"
    """
    assert sorted(keys_of(text)) == [
        "gate.domain", "gate.helpline", "gate.publik_url", "gate.timezone", "relay.port", "relay.tls", "smpt", "web.listen",
    ]  # fmt: skip


def test_a_key_that_is_at_fault_is_named_once() -> None:
    assert keys_of('[tls]\ncert = 5\nkey = "tls.key"') == ["tls.cert"]
    assert keys_of('[gate]\noperator = []\ndomain = "localhost"') == ["gate.operator"]


@pytest.mark.parametrize(
    "line, key",
    [
        ('[gate]\ndomain = ""', "gate.domain"),
        ('[gate]\ndomain = "学校.jp"', "gate.domain"),
        ('[gate]\ndomain = "gate..jp"', "gate.domain"),
        ('[gate]\ndomain = "-gate.jp"', "gate.domain"),
        ('[gate]\ndomain = "gate.jp\\n"', "gate.domain"),
        (f'[gate]\ndomain = "{"a" * 64}.jp"', "gate.domain"),
        (f'[gate]\ndomain = "{".".join(["a" * 50] * 5)}"', "gate.domain"),
        ('[gate]\npublic_url = ""', "gate.public_url"),
        ('[gate]\npublic_url = "touroku.example.jp"', "gate.public_url"),
        ('[gate]\npublic_url = "ftp://touroku.example.jp"', "gate.public_url"),
        ('[gate]\npublic_url = "https://touroku.example.jp/gate"', "gate.public_url"),
        ('[gate]\npublic_url = "https://touroku.example.jp?x"', "gate.public_url"),
        ('[gate]\npublic_url = "https://[::1"', "gate.public_url"),
        ('[gate]\npublic_url = "https://touroku.example.jp:99999"', "gate.public_url"),
        ('[gate]\npublic_url = "https://touroku.example.jp:port"', "gate.public_url"),
        ('[gate]\npublic_url = "https://me:secret@touroku.example.jp"', "gate.public_url"),
        ('[gate]\npublic_url = "https://touroku example.jp"', "gate.public_url"),
        ('[gate]\npublic_url = "https://touroku.example.jp\\n"', "gate.public_url"),
        ('[gate]\npublic_url = "https://学校.jp"', "gate.public_url"),
        (f'[gate]\npublic_url = "https://{"a" * 63}.{"b" * 63}.jp"', "gate.public_url"),  # MR-30: a link has 200 characters at most
        ('[gate]\ntimezone = ""', "gate.timezone"),
        ('[gate]\ntimezone = "../etc/passwd"', "gate.timezone"),
        ('[gate]\noperator = "root"', "gate.operator"),
        ('[gate]\noperator = "root@gate.example.jp"', "gate.operator"),
        ('[gate]\noperator = "root@GATE.example.jp"', "gate.operator"),
        ("[gate]\nname = true", "gate.name"),
        ("[gate]\nname = 2026-04-01", "gate.name"),
        ('[smtp]\nlisten = "127.0.0.1:25"', "smtp.listen"),
        ('[smtp]\nlisten = ["127.0.0.1:25", "127.0.0.1"]', "smtp.listen"),
        ('[smtp]\nlisten = ["127.0.0.1:70000"]', "smtp.listen"),
        ('[smtp]\nlisten = [":25"]', "smtp.listen"),
        ('[smtp]\nlisten = ["127.0.0.1:２５"]', "smtp.listen"),
        ("[smtp]\nlisten = [25]", "smtp.listen"),
        ('[smtp]\ntrusted_relays = ["192.0.2.1/24"]', "smtp.trusted_relays"),
        ('[smtp]\ntrusted_relays = ["relay.example.jp"]', "smtp.trusted_relays"),
        ('[web]\ntrusted_proxies = ["10.0.0.0/33"]', "web.trusted_proxies"),
        ('[submission]\nlisten = ["587"]', "submission.listen"),
        ('[submission]\nlisten_tls = ["465"]', "submission.listen_tls"),
        ('[metrics]\nlisten = "9108"', "metrics.listen"),
        ('[boxes]\njoin = "B"', "boxes"),
        ('[boxes]\njoin = ""', "boxes.join"),
        ('[boxes]\njoin = "to uroku"', "boxes.join"),
        ('[boxes]\njoin = "touroku+1"', "boxes.join"),
        ('[boxes]\nreplies = "renraku\\r\\nBcc: x"', "boxes.replies"),
        ('[boxes]\nstop = "postmaster"', "boxes.stop"),
        ('[boxes]\nreplies = "Abuse"', "boxes.replies"),
        (f'[boxes]\nbounce = "{"b" * 38}"', "boxes.bounce"),  # with its token a local part has 64 characters at most
        ('[tls]\ncert = "tls.crt"', "tls.cert and tls.key"),
        ('[tls]\nkey = "tls.key"', "tls.cert and tls.key"),
        ("[relay]\nport = 65536", "relay.port"),
        ('[relay]\nport = "25"', "relay.port"),
        ("[relay]\nport = true", "relay.port"),
        ("[relay]\nconnections = 0", "relay.connections"),
        ("[relay]\nwindow = -1", "relay.window"),
        ("[relay]\nwindow = 6.5", "relay.window"),
        ('[relay]\nhost = ""', "relay.host"),
        ("[relay]\nverify = 1", "relay.verify"),
        ('[relay]\nstandby = "192.0.2.2:25"', "relay.standby"),
        ('[relay]\nstandby = ["192.0.2.2:25", "relay2"]', "relay.standby"),
        ('[relay]\nstandby = ["relay2:0"]', "relay.standby"),
        ("[relay]\nrate = -0.5", "relay.rate"),
        ("[relay]\nrate = nan", "relay.rate"),
        ("[relay]\noverlap = 1", "relay.overlap"),
        ('[relay]\nusername = "gate"', "relay.username and relay.password_file"),
        ('[relay]\npassword_file = "relay.password"', "relay.username and relay.password_file"),
        ('[dkim]\nselector = "S 1"', "dkim.selector"),
        ('[store]\nurl = "postgresql://db/mailgate"', "store.url"),
        ('[store]\nurl = "sqlite:///"', "store.url"),
        ('[store]\nurl = "mailgate.db"', "store.url"),
        ('[dns]\nservers = "all"', "dns.servers"),
        ("[dns]\nservers = [1]", "dns.servers"),
        ("[dns]\nservers = []", "dns.servers"),
        ('[dns]\nservers = ["ns.example.jp"]', "dns.servers"),
        ('[dns]\nservers = ["192.0.2.53:99999"]', "dns.servers"),
        ("[smtp]\nauthserv_id = 1", "smtp.authserv_id"),
        ("gate = 5", "gate"),
        ("[[gate]]", "gate"),
        ("domain = 5", "domain"),
        ('[folder]\npath = "/"', "folder"),
    ],
)
def test_what_cannot_work_is_a_fault_of_its_key(line: str, key: str) -> None:
    assert keys_of(line) == [key]


@pytest.mark.parametrize(
    "line",
    [
        'gate.domain = "localhost"\ngate.operator = "root@example.jp"',
        f'gate.domain = "{"a" * 63}.jp"',
        'gate.public_url = "http://127.0.0.1:8080"',
        'gate.public_url = "http://localhost"',
        'gate.public_url = "http://[::1]:8080"',
        'gate.public_url = "https://touroku.example.jp:8443"',
        'gate.operator = "a..b@docomo.ne.jp"',
        'smtp.listen = ["0.0.0.0:25", "[::]:25", "localhost:0"]',
        "smtp.listen = []",
        'smtp.trusted_relays = ["192.0.2.0/24", "192.0.2.7", "2001:db8::/32"]',
        'relay.username = "gate"\nrelay.password_file = "relay.password"',
        'relay.standby = ["relay2.example.jp:25", "[2001:db8::2]:2525"]',
        "relay.rate = 0.5",
        "relay.rate = 100",
        'dkim.selector = "s2026.gate"',
        'dns.servers = ["192.0.2.53", "127.0.0.1:5353", "2001:db8::53", "[2001:db8::53]:53"]',
        'smtp.authserv_id = "mx.city.jp"',
        'dns.servers = "none"',
        'boxes.join = "tou_roku.1-a"',
        'store.url = "sqlite:////var/lib/mailgate/mailgate.db"',
    ],
)
def test_what_works_is_taken(line: str) -> None:
    parse(line, folder=FOLDER)


@pytest.mark.parametrize("host", ["touroku.example.jp", "192.0.2.1", "127.0.0.1.example.jp", "localhost.example.jp", "[2001:db8::1]"])
def test_plain_http_is_for_a_loopback_address_alone(host: str) -> None:
    (fault,) = faults(f'gate.public_url = "http://{host}"')
    assert fault.startswith("gate.public_url: must be https")


def test_an_unknown_key_names_those_that_are_known() -> None:
    (fault,) = faults("[tls]\ncertificate = ''")
    assert fault == "tls.certificate: there is no such key; known are cert, key"


def test_what_is_no_toml_says_where() -> None:
    (fault,) = faults("gate.domain = gate.example.jp")
    assert "line 1" in fault


def test_relative_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "mailgate.toml").write_text('store.url = "sqlite:///data/gate.db"\nkeys.dir = "secret"\nstate.dir = "run"')
    monkeypatch.chdir("/")
    settings = load(tmp_path / "mailgate.toml")
    assert settings.database == tmp_path / "data" / "gate.db"
    assert settings.keys_dir == tmp_path / "secret"
    assert settings.state_dir == tmp_path / "run"


def test_absolute_paths_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    settings = parse('store.url = "sqlite:////var/lib/gate.db"\nkeys.dir = "/srv/keys"\nstate.dir = "/run/gate"', folder=FOLDER)
    assert (settings.database, settings.keys_dir, settings.state_dir) == (
        Path("/var/lib/gate.db"), Path("/srv/keys"), Path("/run/gate"),
    )  # fmt: skip


def test_credentials_of_systemd_come_before_the_folder_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse("", folder=FOLDER)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/mailgate-mail.service")
    assert settings.keys_dir == Path("/run/credentials/mailgate-mail.service")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    assert settings.keys_dir == FOLDER / "keys"


def in_shift_jis(path: Path) -> None:
    path.write_bytes("gate.name = '学校'".encode("cp932"))


@pytest.mark.parametrize(
    "make, says", [(Path.exists, "give it with -c FILE"), (Path.mkdir, "cannot be read"), (in_shift_jis, "is not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    path = tmp_path / "mailgate.toml"
    make(path)
    with pytest.raises(SettingsUnfit) as caught:
        load(path)
    (fault,) = caught.value.faults
    assert str(path) in fault
    assert says in fault


@pytest.mark.parametrize(
    "text, hostport",
    [
        ("127.0.0.1:25", ("127.0.0.1", 25)),
        ("[::1]:25", ("::1", 25)),
        ("localhost:0", ("localhost", 0)),
        ("localhost", None),
        ("localhost:", None),
        (":25", None),
        ("localhost:-1", None),
        ("localhost:65536", None),
        ("localhost:" + "9" * 5000, None),
    ],
)
def test_a_host_and_port_are_read(text: str, hostport: tuple[str, int] | None) -> None:
    assert split_hostport(text) == hostport
