"""Run: what the operating system is asked for."""
