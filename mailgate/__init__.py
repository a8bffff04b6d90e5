"""mailgate: a city's schools reach every guardian by e-mail, and nobody at a school ever sees an address."""

__version__ = "0.1.0"
