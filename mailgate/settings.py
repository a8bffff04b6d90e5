"""The configuration: read once, checked whole, passed in parts.

A file that is wrong in five places says so five times, each with the key's name and what it should be. Relative paths begin at the
file's folder. Every key has its default here, a line in data/mailgate.sample.toml and a row in docs/operations.md.
"""

import dataclasses
import ipaddress
import os
import re
import tomllib
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints  # Any: what TOML holds before it is checked

import msgspec

from mailgate.core.addresses import BadPath, parse_spec
from mailgate.core.hostport import MAX_PORT, split_hostport, split_server
from mailgate.core.registration import AddressRule
from mailgate.core.routing import BoxNames

Port = Annotated[int, msgspec.Meta(ge=1, le=MAX_PORT)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are."""

    domain: str = "gate.example.jp"
    public_url: str = "http://127.0.0.1:8080"
    name: str = "学校メール"
    board: str = "市教育委員会"
    timezone: str = "Asia/Tokyo"
    operator: str = "root@localhost"
    helpline: str = ""


class Smtp(msgspec.Struct, frozen=True, kw_only=True):
    """Mail's way in."""

    listen: tuple[str, ...] = ("127.0.0.1:8025",)
    trusted_relays: tuple[str, ...] = ()
    authserv_id: str = ""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Where staff hand in mail with a password."""

    listen: tuple[str, ...] = ()
    listen_tls: tuple[str, ...] = ()


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Certificate and key for STARTTLS; both empty: not offered."""

    cert: str = ""
    key: str = ""


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """The pages."""

    listen: str = "127.0.0.1:8080"
    trusted_proxies: tuple[str, ...] = ()


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Figures for Prometheus; empty: none."""

    listen: str = ""


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The next server, which takes all our mail."""

    host: str = "127.0.0.1"
    port: Port = 25
    connections: Positive = 16
    window: Positive = 64
    tls: Literal["none", "offered", "required"] = "offered"
    verify: bool = False
    username: str = ""
    password_file: str = ""


class Dkim(msgspec.Struct, frozen=True, kw_only=True):
    """Our signature on what we send; no selector: the relay signs."""

    selector: str = ""


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """The database."""

    url: str = "sqlite:///mailgate.db"


class KeyFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Where the keys are, unless systemd hands them over."""

    dir: str = "keys"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where locks and sockets live."""

    dir: str = "."


class Dns(msgspec.Struct, frozen=True, kw_only=True):
    """Which name servers are asked; "none": nobody, and nothing is refused for want of an answer."""

    servers: tuple[str, ...] | Literal["system", "none"] = "system"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    gate: Gate = Gate()
    boxes: BoxNames = BoxNames()
    registration: AddressRule = AddressRule()
    smtp: Smtp = Smtp()
    submission: Submission = Submission()
    tls: Tls = Tls()
    web: Web = Web()
    metrics: Metrics = Metrics()
    relay: RelaySettings = RelaySettings()
    dkim: Dkim = Dkim()
    store: Store = Store()
    keys: KeyFolder = KeyFolder()
    state: State = State()
    dns: Dns = Dns()
    folder: Path = Path()  # where the file is; not a key of it

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / self.store.url.removeprefix("sqlite:///")

    @property
    def state_dir(self) -> Path:
        """The folder of locks and sockets."""
        return self.folder / self.state.dir

    @property
    def keys_dir(self) -> Path:
        """The folder of keys: systemd's credentials when it gives some."""
        return Path(os.environ.get("CREDENTIALS_DIRECTORY") or self.folder / self.keys.dir)


class SettingsUnfit(Exception):
    """The configuration is wrong; `faults` holds one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


_SECTIONS: Final = {f.name: f.type for f in msgspec.structs.fields(Settings) if f.name != "folder"}
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,200}}\Z){_LABEL}(?:\.{_LABEL})*")
SELECTOR: Final = re.compile(rf"(?=.{{1,40}}\Z){_LABEL}(?:\.{_LABEL})*")  # and `_domainkey.` and the domain fit into a DNS name
# With a page and a token a link has at most 200 characters (MR-30).
_URL: Final = re.compile(rf"(?=.{{1,120}}\Z)(https?)://({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([0-9]{{1,5}}))?", re.IGNORECASE)
# A local part has at most 64 characters, and there must be room for a token or an audience.
_BOX: Final = re.compile(r"(?!(?:postmaster|abuse)\Z)[a-z0-9._-]{1,20}", re.IGNORECASE)


def load(path: Path) -> Settings:
    """Read and check a configuration file; SettingsUnfit has all its faults at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsUnfit([f"{path}: cannot be read ({error.strerror}); give it with -c FILE or MAILGATE_CONFIG"]) from None
    except UnicodeDecodeError:
        raise SettingsUnfit([f"{path}: is not UTF-8 text"]) from None
    return parse(text, folder=path.resolve().parent)


def parse(text: str, *, folder: Path) -> Settings:
    """Check the text of a configuration file that stands in `folder`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnfit([f"not valid TOML: {error}"]) from None
    faults: list[str] = []
    sections = {name: _section(name, raw.get(name, {}), faults) for name in _SECTIONS}
    faults += [f"{name}: there is no such section" for name in raw if name not in _SECTIONS]
    settings = Settings(**sections, folder=folder)
    said = {fault.partition(":")[0] for fault in faults}  # what is at fault has its default meanwhile
    faults += [it for it in _faults_between(settings) if said.isdisjoint(it.partition(":")[0].split(" and "))]
    if faults:
        raise SettingsUnfit(faults)
    return settings


def _section(name: str, raw: object, faults: list[str]) -> Any:
    """One section, key by key, so that a fault in one key does not hide the next."""
    struct = _SECTIONS[name]
    if not isinstance(raw, Mapping):
        faults.append(f"{name}: must be a table of keys")
        return struct()
    types = get_type_hints(struct, include_extras=True)
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in types:
            faults.append(f"{name}.{key}: there is no such key; known are {', '.join(types)}")
            continue
        try:
            values[key] = msgspec.convert(value, types[key])
        except msgspec.ValidationError as error:
            faults.append(f"{name}.{key}: {str(error).split(' - at ')[0]}")
    return struct(**values)


def _faults_between(settings: Settings) -> Iterator[str]:
    """What only shows when the keys are looked at for what they mean."""
    gate, relay, dkim = settings.gate, settings.relay, settings.dkim
    if not _DOMAIN.fullmatch(gate.domain):
        yield f'gate.domain: "{gate.domain}" is not a lower-case ASCII domain name such as gate.example.jp'
    yield from _url_faults(gate.public_url)
    yield from _zone_faults(gate.timezone)
    yield from _operator_faults(gate)
    yield from _listen_faults(settings)
    yield from _network_faults(settings)
    yield from _box_faults(dataclasses.asdict(settings.boxes))
    if bool(settings.tls.cert) != bool(settings.tls.key):
        yield "tls.cert and tls.key: give both or none"
    if not relay.host.strip():
        yield "relay.host: is empty; give the name or address of the next server"
    if bool(relay.username) != bool(relay.password_file):
        yield "relay.username and relay.password_file: give both or none"
    if dkim.selector and not SELECTOR.fullmatch(dkim.selector):
        yield f'dkim.selector: "{dkim.selector}" is not up to 40 of a-z 0-9 - . such as mailgate or s2026'
    if not 1 <= settings.registration.addresses <= 9:
        yield "registration.addresses: must be 1 to 9"
    if not re.fullmatch(r"sqlite:///.*[^/]", settings.store.url):
        yield "store.url: only sqlite:///FILE works in this version"


def _box_faults(boxes: Mapping[str, str]) -> Iterator[str]:
    for key, name in boxes.items():
        if not _BOX.fullmatch(name):
            yield f"boxes.{key}: must be 1 to 20 of a-z 0-9 . _ - and neither postmaster nor abuse"
    if len({name.casefold() for name in boxes.values()}) < len(boxes):
        yield "boxes: two boxes have the same local part"


def _zone_faults(timezone: str) -> Iterator[str]:
    try:
        zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        yield f'gate.timezone: "{timezone}" is not a time zone such as Asia/Tokyo'


def _operator_faults(gate: Gate) -> Iterator[str]:
    try:
        operator = parse_spec(gate.operator)
    except BadPath:
        yield "gate.operator: is not a mail address such as root@localhost"
        return
    if operator.domain == gate.domain:
        yield "gate.operator: is an address of the gate itself: mail to the operator would go round in circles"


def _listen_faults(settings: Settings) -> Iterator[str]:
    listens = {
        "smtp.listen": settings.smtp.listen,
        "submission.listen": settings.submission.listen,
        "submission.listen_tls": settings.submission.listen_tls,
        "web.listen": (settings.web.listen,),
        "metrics.listen": (settings.metrics.listen,) if settings.metrics.listen else (),
    }
    for key, listen in ((key, listen) for key, several in listens.items() for listen in several):
        if split_hostport(listen) is None:
            yield f'{key}: "{listen}" is not HOST:PORT such as 127.0.0.1:8025'


def _network_faults(settings: Settings) -> Iterator[str]:
    named = {"smtp.trusted_relays": settings.smtp.trusted_relays, "web.trusted_proxies": settings.web.trusted_proxies}
    for key, network in ((key, network) for key, several in named.items() for network in several):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield f'{key}: "{network}" is not a network such as 192.0.2.0/24'
    servers = settings.dns.servers or ("",)
    for server in () if isinstance(servers, str) else servers:
        if split_server(server, port=53) is None:
            yield f'dns.servers: "{server}" is not the address of a name server such as 192.0.2.53; to ask nobody, say "none"'


def _url_faults(url: str) -> Iterator[str]:
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found[3] or 443) <= MAX_PORT:
        yield f'gate.public_url: "{url}" is not a web address without path such as https://touroku.example.jp'
    elif found[1].lower() == "http" and found[2].lower() not in _LOOPBACK_HOSTS:
        yield "gate.public_url: must be https (plain http is for a loopback address only)"
