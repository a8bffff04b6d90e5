"""The bench: how fast the gate is beside others, on loopback, in one run. `make bench`; docs/performance.md says how it is measured.

Nothing of it is imported by the program.
"""
