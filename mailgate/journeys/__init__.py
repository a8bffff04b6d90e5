"""Journeys: what the gate does, one file for each. Each owns its transactions, and here alone the order of waiting is decided."""
