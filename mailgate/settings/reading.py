"""Reading: from a file to settings, or to all that is wrong with it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints  # Any: what TOML holds before it is checked

import msgspec

from mailgate.settings.faults import faults_between
from mailgate.settings.sections import Settings

_SECTIONS: Final = {f.name: f.type for f in msgspec.structs.fields(Settings) if f.name != "folder"}


class SettingsUnfit(Exception):
    """The configuration is wrong; `faults` holds one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


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
    faults += [it for it in faults_between(settings) if said.isdisjoint(it.partition(":")[0].split(" and "))]
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
