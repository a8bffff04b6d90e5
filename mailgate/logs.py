"""Structured logs: JSON lines on standard error, one event a line, never an address, a name or a token.

Event names are `noun.verb_past`, registered in EVENTS and explained in docs/operations.md. What a caller passes is an id, a count, a
code or a reason. As a second wall every value, however deep it lies, is searched for what looks like an address or a token and masked
before it is written. What other libraries have to say passes the same wall; of an exception its type is said and nothing of its text.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Final, TextIO

import structlog

EVENTS: Final[Mapping[str, str]] = {
    "gate.started": "The process serves; `side` is mail, web or both.",
    "gate.stopping": "A stop was asked for; work under way is finished.",
    "gate.stopped": "The process ended in order.",
    "clock.doubted": "The machine's clock jumped and is not believed; `off_s` seconds ahead. Told once an hour. A human must look.",
    "clock.agreed": "The machine's clock is believed again.",
    "clock.unknown": "The clock is too far ahead of when the gate was last alive: it does not start. A human must say which is right.",
    "mail.accepted": "A mail was taken and acted on; `box` and `outcome` say which way it went.",
    "mail.silenced": "A mail was taken and, by the reply rules, not answered; `reason` names the rule.",
    "mail.repeated": "The same mail came again and changed nothing.",
    "mail.quarantined": "A mail made us stumble; it is kept sealed. A human should look: `mailgate quarantine list`.",
    "mail.deferred": "A mail could not be taken now; the peer keeps it and comes again. `reason` says why.",
    "listener.connection_refused": "A connection beyond the limits was turned away politely.",
    "listener.connection_failed": "A peer broke off or held a connection too long.",
    "listener.fault_caught": "An exception was caught at mail's edge; the peer was asked to come again.",
    "registration.completed": "A guardian registered; ids only.",
    "registration.refused": "A registration form was sent back; `faults` names the fields.",
    "registration.changed": "An owner wrote name, kana, grade or class anew.",
    "registration.withdrawn": "An owner withdrew an address, or with `all` the registration; it is erased within the hour.",
    "contact.changed": "An address was added, replaced or removed (`kind`); those who may undo it are told.",
    "contact.undone": "A change of addresses was taken back, with all later ones; its registration waits for a new password.",
    "login.refused": "A login failed; `reason` is wrong, or wait: too many before it.",
    "password.changed": "A registration has a new password; `way` is login or link.",
    "address.erased": "Addresses that nothing refers to any more are erased; `count` of them.",
    "invitation.burnt": "Too many wrong registration codes: the link is dead.",
    "broadcast.drafted": "A staff mail became a draft; its preview is owed.",
    "broadcast.refused": "A staff mail did not become a draft; `reason` says why, the sender is told by mail.",
    "broadcast.confirmed": "A person confirmed a broadcast.",
    "broadcast.pin_refused": "A wrong PIN was given for a broadcast.",
    "broadcast.expanded": "All deliveries of a broadcast are in the outbox; `recipients` is final.",
    "broadcast.moved": "A broadcast changed its state; `state` is the new one.",
    "broadcast.done": "Every delivery of a broadcast has ended or been handed over.",
    "delivery.deferred": "The next server asked to come again; due later.",
    "delivery.refused": "The next server refused a copy for good.",
    "delivery.expired": "A copy was not handed over in its lifetime.",
    "delivery.parked": "Three exceptions were caught while working on a copy; it is set aside. A human must look.",
    "delivery.singled_out": "A careful sender took this delivery alone.",
    "delivery.noticed": "A delivery notice changed a delivery; `state` is the new one.",
    "site.paused": "Too many invitations to a site came back as unknown: they wait. A human should look who makes us send them.",
    "site.resumed": "Invitations to a site go out again; so many had waited.",
    "dns.lost": "No name server answers, or none is known; for half a minute nobody is asked, and nothing is refused for want of it.",
    "relay.turned": "Another of the next servers has our mail now; `server` is its place in line, 0 the first's.",
    "sender.started": "The sender holds its lock; `freed` leases of an earlier run were taken back.",
    "sender.careful": "The third start in a minute after a death: one delivery is taken at a time, until ten went out. A human must look.",
    "sender.reassured": "Ten deliveries went out one by one; the sender takes as many as it likes again.",
    "sender.fault_caught": "An exception was caught in the sender; it goes on.",
    "web.fault_caught": "An exception was caught while serving a page; the person saw a plain page with what to do.",
    "library.spoke": "A library we use had something to say; its words, masked.",
}

# An `@` in any writing of it, and what stands round it; a quoted local part may hold blanks.
_ADDRESS_LIKE: Final = re.compile(
    r"""(?:"[^@＠﹫]{0,80}"|[^\s<>",;:()@＠﹫]{0,200})(?:[@＠﹫]|%40)[^\s<>"',;()]{0,300}"""
)
# Links, and return paths, which mail servers may have written in capitals.
_TOKEN_LIKE: Final = re.compile(r"(?<![\w-])[\w-]{20,}\.[\w-]{20,}|(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])", re.IGNORECASE)
# How asyncio shows a task that failed.
_EXCEPTION_SHOWN: Final = re.compile(r"(\bexception=\w+).*")
_LONGEST: Final = 1_000
_SHORTEST_TOKEN: Final = 26  # of those that are like a token

_Event = MutableMapping[str, object]


def masked(text: str) -> str:
    """A text with everything that looks like an address or a token of ours taken out, and cut where it is too long."""
    if len(text) < _SHORTEST_TOKEN and text.isascii() and "@" not in text and "%40" not in text:
        return text  # what is said at every mail, with nothing to search for
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rpartition(" ")[0] + " ..."  # not in the middle of what would no longer look like one
    return _TOKEN_LIKE.sub("***", _ADDRESS_LIKE.sub("***", text))


def _mask(_logger: object, _method: str, event: _Event) -> _Event:
    return {key: _shown(value) for key, value in event.items()}


def _shown(value: object) -> object:
    """A value as it may be written."""
    match value:
        case str():
            return masked(value)
        case bool() | int() | float() | None:
            return value
        case bytes() | bytearray():
            return f"{len(value)} octets"
        case BaseException():
            return fault_of(value)
        case Mapping():
            return {masked(str(key)): _shown(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(inner) for inner in value]
        case _:
            return masked(repr(value))


class _LibraryHandler(logging.Handler):
    """Lets libraries speak in our form, without their tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().warning(
            "library.spoke", library=record.name, severity=record.levelname.lower(), words=_words(record), fault=fault
        )


def _words(record: logging.LogRecord) -> str:
    """What a library says, with each exception's type in place of its text."""
    message = str(_typed(record.msg))
    match record.args:
        case Mapping() as named:
            args: object = {name: _typed(value) for name, value in named.items()}
        case args:
            args = tuple(_typed(value) for value in args or ())
    try:
        said = message % args if args else message
    except (TypeError, ValueError, KeyError):  # its words do not fit together: no reason to stop whoever spoke
        said = message
    return _EXCEPTION_SHOWN.sub(r"\1", said)


def _typed(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value


def configure(stream: TextIO = sys.stderr) -> None:
    """Set up logging for a process; once, at its start."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def quieten() -> None:
    """For a command: it says itself what it does, and its decisions are in the audit log."""
    structlog.configure(processors=[_dropped], cache_logger_on_first_use=False)


def _dropped(_logger: object, _method: str, _event: _Event) -> _Event:
    raise structlog.DropEvent


def fault_of(error: BaseException) -> str:
    """What an exception may say in a log: its type and where it was raised, none of its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else "nowhere"
    return f"{type(error).__name__} in {place}"
