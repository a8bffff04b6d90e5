"""Wiring: how each part is built from the settings and the footing. What runs them is `app`."""

import ipaddress
from collections.abc import Callable

from mailgate.core.addresses import parse_spec
from mailgate.core.authentication import Prover
from mailgate.core.hostport import split_hostport
from mailgate.footing import Footing
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.answers import Answers
from mailgate.journeys.draft import Drafter
from mailgate.journeys.guardians import Guardians
from mailgate.journeys.inbox import Inbox
from mailgate.journeys.invite import Inviter
from mailgate.journeys.join import Join
from mailgate.journeys.keep import Keep
from mailgate.journeys.means import Means
from mailgate.journeys.reach import Reach
from mailgate.journeys.send import Send
from mailgate.journeys.signing import Signer, load_signing_key
from mailgate.journeys.sites import Sites
from mailgate.journeys.speech import Speech
from mailgate.journeys.stop import Stop
from mailgate.journeys.writing import Writing
from mailgate.letters.writer import Writer
from mailgate.places import folder
from mailgate.runtime import Clock
from mailgate.settings import Settings
from mailgate.smtp.names import names_of
from mailgate.smtp.opening import NextServer
from mailgate.smtp.proof import NetworkProver
from mailgate.smtp.relay import SmtpRelay
from mailgate.vault import AddressVault
from mailgate.web.app import Pages


def writing_of(footing: Footing, vault: AddressVault) -> Writing:
    """What makes copies."""
    return Writing(
        db=footing.db,
        vault=vault,
        texts=footing.texts,
        links=footing.links,
        writer=Writer(footing.house, folder("templates")),
        house=footing.house,
        send=send_of(footing, wake=lambda: None),
        signer=signer_of(footing.settings),
    )


def signer_of(settings: Settings) -> Signer | None:
    """What signs; nothing where the relay does."""
    domain, selector = settings.gate.domain, settings.dkim.selector
    return Signer(load_signing_key(settings.keys_dir, domain=domain, selector=selector)) if selector else None


def prover_of(settings: Settings, clock: Clock) -> Prover:
    """What finds out who wrote a mail."""
    relays = tuple(map(ipaddress.ip_network, settings.smtp.trusted_relays))
    return NetworkProver(names_of(settings.dns.servers, clock=clock), relays=relays, authserv_id=settings.smtp.authserv_id)


def sites_of(footing: Footing, vault: AddressVault) -> Sites:
    """What pauses invitations to a site."""
    return Sites(
        db=footing.db,
        book=AddressBook(vault, footing.dice),
        operator=parse_spec(footing.settings.gate.operator),
        clock=footing.clock,
    )


def inbox_of(
    footing: Footing,
    vault: AddressVault,
    allowance: Allowance,
    wake: Callable[[], None],
    *,
    sites: Sites | None = None,
    prover: Prover | None = None,
) -> Inbox:
    """What takes mail."""
    settings, book = footing.settings, AddressBook(vault, footing.dice)
    sites = sites or sites_of(footing, vault)
    inviter = Inviter(book=book, links=footing.links, sites=sites, dice=footing.dice)
    return Inbox(
        db=footing.db,
        vault=vault,
        book=book,
        links=footing.links,
        guardians=Guardians(book=book, links=footing.links, inviter=inviter, allowance=allowance),
        drafter=Drafter(texts=footing.texts, dice=footing.dice),
        domain=settings.gate.domain,
        names=settings.boxes,
        operator=parse_spec(settings.gate.operator),
        answers=Answers(prover or prover_of(settings, footing.clock), domain=settings.gate.domain),
        clock=footing.clock,
        dice=footing.dice,
        wake=wake,
    )


def send_of(footing: Footing, *, wake: Callable[[], None]) -> Send:
    """What shows and moves broadcasts."""
    return Send(
        db=footing.db,
        links=footing.links,
        texts=footing.texts,
        passwords=footing.passwords,
        clock=footing.clock,
        wake=wake,
    )


def relay_of(settings: Settings) -> SmtpRelay:
    """The next server, and those that stand by."""
    relay = settings.relay
    password = (settings.folder / relay.password_file).read_text().strip() if relay.password_file else ""
    others = [hostport for hostport in map(split_hostport, relay.standby) if hostport is not None]
    servers = [
        NextServer(
            host=host,
            port=port,
            helo=settings.gate.domain,
            tls=relay.tls,
            verify=relay.verify,
            username=relay.username,
            password=password,
        )
        for host, port in [(relay.host, relay.port), *others]
    ]
    return SmtpRelay(servers, connections=relay.connections, rate=relay.rate, overlap=relay.overlap)


def means_of(footing: Footing, wake: Callable[[], None]) -> Means:
    """What the journeys of guardians share."""
    settings = footing.settings
    return Means(
        db=footing.db,
        links=footing.links,
        passwords=footing.passwords,
        digests=footing.digests,
        clock=footing.clock,
        dice=footing.dice,
        timezone=settings.gate.timezone,
        rule=settings.registration,
        wake=wake,
    )


def pages_of(footing: Footing, wake: Callable[[], None]) -> Pages:
    """What the pages stand on."""
    settings, means = footing.settings, means_of(footing, wake)
    return Pages(
        join=Join(means),
        keep=Keep(means),
        send=send_of(footing, wake=wake),
        reach=Reach(
            db=footing.db, links=footing.links, texts=footing.texts, board=settings.gate.board, clock=footing.clock
        ),
        stop=Stop(db=footing.db, links=footing.links, clock=footing.clock),
        speech=Speech(db=footing.db, links=footing.links, clock=footing.clock),
        rule=settings.registration,
        house=footing.house,
        clock=footing.clock,
        trusted_proxies=tuple(settings.web.trusted_proxies),
    )
