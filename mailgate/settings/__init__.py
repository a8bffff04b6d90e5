"""The configuration: read once, checked whole, passed in parts.

A file that is wrong in five places says so five times, each with the key's name and what it should be. Relative paths begin at the
file's folder. Every key has its default here, a line in data/mailgate.sample.toml and a row in docs/operations.md.
"""

from mailgate.settings.faults import SELECTOR
from mailgate.settings.reading import SettingsUnfit, load, parse
from mailgate.settings.sections import Dns, Settings

__all__ = ["SELECTOR", "Dns", "Settings", "SettingsUnfit", "load", "parse"]
