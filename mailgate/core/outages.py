"""Outages: what the floors below say when they cannot work now, so that mail's edge can ask the peer to come back."""


class StoreFull(Exception):
    """The store has no room: nothing was written, and the peer should come back (452 4.3.1)."""
