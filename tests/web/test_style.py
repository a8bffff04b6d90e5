"""The style sheet: colours that can be read, sizes that grow with the reader's letters."""

import re

from mailgate.places import folder


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_text_colour_stands_out_from_every_ground_it_is_on() -> None:
    css = (folder("templates") / "web" / "app.css").read_text(encoding="utf-8")
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css))
    for text in ("ink", "soft", "blue", "red"):
        for ground in (named["mist"], named["sand"], "#ffffff"):
            assert contrast(named[text], ground) >= 4.5
    assert contrast(named["line"], "#ffffff") >= 3  # the edge of a field (WCAG 1.4.11)
    assert not re.search(r"font-size:[^;]*px", css)
