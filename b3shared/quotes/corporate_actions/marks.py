"""The ex-marks of the exchange in ESPECI."""

MARKS = {
    "D": "dividend",
    "J": "interest on capital",
    "R": "income",
    "A": "amortisation",
    "B": "bonus or split",
    "G": "grouping",
    "S": "subscription right",
    "C": "spin-off",
    "X": "several rights",
}
"""Letter after the E of an ex-mark in ESPECI -> the right that left the price.

A mark stays for some sessions; its first, on which DISMES rises, is the ex-date.
"""

UPDATED = "ATZ"
"""Mark of a session on which DISMES rises without an event."""
