"""What is wrong with settings although each key alone could be right: what only shows when they are looked at for what they mean."""

import dataclasses
import ipaddress
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Final

from mailgate.core.addresses import BadPath, parse_spec
from mailgate.core.hostport import MAX_PORT, split_hostport, split_server
from mailgate.settings.sections import Gate, RelaySettings, Settings

_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_LABEL: Final = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"(?=.{{1,200}}\Z){_LABEL}(?:\.{_LABEL})*")
SELECTOR: Final = re.compile(rf"(?=.{{1,40}}\Z){_LABEL}(?:\.{_LABEL})*")  # and `_domainkey.` and the domain fit into a DNS name
# With a page and a token a link has at most 200 characters (MR-30).
_URL: Final = re.compile(rf"(?=.{{1,120}}\Z)(https?)://({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([0-9]{{1,5}}))?", re.IGNORECASE)
# A local part has at most 64 characters, and there must be room for a token or an audience.
_BOX: Final = re.compile(r"(?!(?:postmaster|abuse)\Z)[a-z0-9._-]{1,20}", re.IGNORECASE)


def faults_between(settings: Settings) -> Iterator[str]:
    """What only shows when the keys are looked at for what they mean."""
    gate, dkim = settings.gate, settings.dkim
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
    yield from _relay_faults(settings.relay)
    if dkim.selector and not SELECTOR.fullmatch(dkim.selector):
        yield f'dkim.selector: "{dkim.selector}" is not up to 40 of a-z 0-9 - . such as mailgate or s2026'
    if not 1 <= settings.registration.addresses <= 9:
        yield "registration.addresses: must be 1 to 9"
    if not re.fullmatch(r"sqlite:///.*[^/]", settings.store.url):
        yield "store.url: only sqlite:///FILE works in this version"


def _relay_faults(relay: RelaySettings) -> Iterator[str]:
    if not relay.host.strip():
        yield "relay.host: is empty; give the name or address of the next server"
    for standby in relay.standby:
        if not (split_hostport(standby) or ("", 0))[1]:
            yield f'relay.standby: "{standby}" is not HOST:PORT such as relay2.example.jp:25'
    if bool(relay.username) != bool(relay.password_file):
        yield "relay.username and relay.password_file: give both or none"


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
