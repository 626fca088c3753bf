"""Plates with Latin letters in one row, and the two-row plates of Europe: Europe, Britain, the Americas."""

from training.ink import black, blue, gray, green, orange, red, white, yellow
from training.styles import BOTTOM, ONE_ROW, TOP, Band, Line, Style

_EUROPE = ((white, black),) * 8 + ((yellow, black),) * 3 + (
    (white, red), (white, blue), (white, green), (black, white), (red, white), (blue, white)
)  # fmt: skip
_COUNTRY = Line(
    ("D", "F", "I", "E", "NL", "PL", "CZ", "RO", "GB", "B", "SK", "LT"),
    (0.01, 0.6, 0.08, 0.92),
    literal=True,
    color=white,
)

STYLES = (
    Style(
        20, (4.2, 4.9), _EUROPE,
        (
            Line(("ll-ddd-ll", "l ll dddd", "ll ll ddd", "lldd lll", "lld dddd", "dddd lll", "lll ddd", "ll ddd ll",
                  "ll ddddl", "lddd lll", "dd-ll-ll", "l-lll-dd", "ll dd lll", "d-lll-ddd", "lll-dddd"),
                 (0.1, 0.13, 0.97, 0.87), stretch=(0.8, 1.2)),
            _COUNTRY,
        ),
        (Band((0, 0, 0.085, 1), (blue,)), Band((0.925, 0, 1, 1), (blue, yellow), 0.12)), height=(64, 96),
    ),
    Style(
        6, (4.2, 4.9), _EUROPE,
        (Line(("ll ddd ll", "lll dddd", "l dddd ll", "dddd ll", "ll dddd", "lll ddd"), ONE_ROW, stretch=(0.8, 1.2)),),
        height=(64, 96),
    ),
    Style(
        7, (1.2, 1.75), _EUROPE,
        (Line(("ll", "lll", "dl", "ll d", "ldd", "ddd"), (0.16, 0.08, 0.95, 0.46)),
         Line(("dddd", "dd dd", "ddd ll", "ll ddd", "lll", "d lll", "ddd"), BOTTOM)),
        (Band((0, 0, 0.13, 0.5), (blue,), 0.7),),
    ),
    Style(
        8, (4.3, 4.8), ((yellow, black),) * 5 + ((white, black),) * 4 + ((black, white), (black, gray)),
        (Line(("lldd lll", "lddd lll", "lll dddl", "ll dddd", "l d lll", "lll dddd"), (0.06, 0.12, 0.96, 0.86),
              stretch=(0.85, 1.2)),
         Line(("Motors Ltd", "www.cars.co.uk", "HATFIELD FORD"), (0.3, 0.9, 0.7, 0.99), literal=True, chance=0.3)),
        (Band((0, 0, 0.08, 1), (blue,), 0.3),), height=(64, 96),
    ),
    Style(2, (1.3, 1.7), ((yellow, black), (white, black)), (Line(("lldd", "ldd"), TOP), Line(("lll",), BOTTOM))),
    Style(
        16, (1.85, 2.1),
        ((white, blue), (white, red), (white, green), (white, black), (yellow, black), (yellow, blue), (blue, white),
         (green, white), (black, yellow), (orange, white)),
        (Line(("lll dddd", "dllldddd", "lll-ddd", "ddd lll", "llldddd", "ll ddddd", "dddlll", "llllll", "lld dll",
               "ddddll", "lddddd"), (0.05, 0.27, 0.95, 0.77), stretch=(0.6, 1.0)),
         Line(("California", "TEXAS", "NEW YORK", "Florida", "OHIO", "Ontario", "Virginia", "Illinois", "GEORGIA"),
              (0.2, 0.05, 0.8, 0.22), "serif", literal=True),
         Line(("The Lone Star State", "dmv.ca.gov", "Sunshine State", "EMPIRE STATE", "Je me souviens"),
              (0.2, 0.83, 0.8, 0.95), "serif", literal=True, chance=0.7)),
        (Band((0.03, 0.04, 0.15, 0.2), (red, blue, yellow, green), 0.3),
         Band((0.85, 0.8, 0.97, 0.96), (red, blue, yellow, green), 0.3)),
        shaded=0.5,
    ),
    Style(
        3, (2.9, 3.2), ((gray, black), (gray, black), (red, white), (white, black)),
        (Line(("SP-SAO PAULO", "BA-SALVADOR", "RJ-RIO DE JANEIRO", "MG-BH"), (0.25, 0.05, 0.75, 0.2), literal=True),
         Line(("lll-dddd",), (0.05, 0.28, 0.95, 0.92))),
    ),
    Style(
        3, (2.9, 3.2), ((white, black), (white, black), (white, red), (white, blue)),
        (Line(("BRASIL", "REPUBLICA ARGENTINA", "URUGUAY"), (0.3, 0.03, 0.7, 0.19), literal=True, color=white),
         Line(("llldldd", "ll ddd ll", "lll dddd"), (0.06, 0.3, 0.94, 0.93))),
        (Band((0, 0, 1, 0.22), (blue,)),),
    ),
)  # fmt: skip
"""Weights are shares of all styles of the catalog, here and in the other modules."""
