"""The commands. Exit codes: 0 done, 1 refused with a reason, 2 wrong usage, 78 bad configuration or keys."""

from mailgate.cli import clock, demo, keys, mail, people, registration, setup
from mailgate.cli.root import main

__all__ = ["clock", "demo", "keys", "mail", "main", "people", "registration", "setup"]
