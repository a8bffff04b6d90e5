"""Decide: frozen values and pure rules. Nothing here awaits, reads a clock, rolls a die, opens a file or logs."""
