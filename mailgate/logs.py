"""Structured logs: JSON lines on standard error, one event a line, never an address, a name or a token.

Event names are `noun.verb_past`, registered in EVENTS and explained in docs/operations.md. What a caller passes is an id, a count, a
code or a reason. As a second wall every text value is searched for what looks like an address and masked before it is written; what
other libraries have to say passes the same wall.
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
    "delivery.noticed": "A delivery notice changed a delivery; `state` is the new one.",
    "sender.started": "The sender holds its lock; `freed` leases of an earlier run were taken back.",
    "sender.fault_caught": "An exception was caught in the sender; it goes on.",
    "web.fault_caught": "An exception was caught while serving a page; the person saw a plain page with what to do.",
    "library.spoke": "A library we use had something to say; its words, masked.",
}

_ADDRESS_LIKE: Final = re.compile(r"[^\s<>\"'(),;:=]+[@＠][^\s<>\"'(),;]+")
_TOKEN_LIKE: Final = re.compile(r"(?<![\w-])[\w-]{20,}\.[\w-]{20,}|(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])")

_Event = MutableMapping[str, object]


def masked(text: str) -> str:
    """A text with everything that looks like an address or a token of ours taken out."""
    return _TOKEN_LIKE.sub("***", _ADDRESS_LIKE.sub("***", text))


def _mask(_logger: object, _method: str, event: _Event) -> _Event:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = masked(value)
        elif not isinstance(value, int | float | bool | list | tuple | type(None)):
            event[key] = masked(repr(value))
    return event


class _LibraryHandler(logging.Handler):
    """Lets libraries speak in our form, without their tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().warning(
            "library.spoke", library=record.name, level=record.levelname.lower(), words=record.getMessage(), fault=fault
        )


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


def fault_of(error: BaseException) -> str:
    """What an exception may say in a log: its type and where it was raised, none of its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else "nowhere"
    return f"{type(error).__name__} in {place}"
