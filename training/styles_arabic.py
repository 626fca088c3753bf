"""Plates with Arabic letters and digits, of cars and motorcycles, from Morocco to Iran."""

from training.ink import black, blue, gray, green, orange, red, white, yellow
from training.styles import BOTTOM, ONE_ROW, TOP, Band, Line, Style

_HEADS = (blue, blue, blue, orange, red, green, gray, yellow)
_EGYPT = (
    Line(("EGYPT",), (0.06, 0.05, 0.42, 0.22), literal=True),
    Line(("مصر",), (0.6, 0.03, 0.94, 0.22), "arabic", literal=True),
)
_QUARTERS = (
    Line(("nnn", "nnnn"), (0.04, 0.06, 0.42, 0.47), "arabic"), Line(("dddd", "ddd"), (0.04, 0.54, 0.42, 0.95)),
    Line(("a a a",), (0.48, 0.06, 0.93, 0.47), "arabic"), Line(("l l l",), (0.48, 0.54, 0.93, 0.95)),
)  # fmt: skip
_CROSS = (Band((0, 0.49, 0.95, 0.51), (black,)), Band((0.44, 0, 0.46, 1), (black,)))

STYLES = (
    Style(4, (1.05, 1.6), ((white, black),),
          (*_EGYPT, Line(("a a", "a a a"), (0.1, 0.3, 0.9, 0.6), "arabic"),
           Line(("nnn", "nnnn"), (0.08, 0.63, 0.92, 0.96), "arabic")),
          (Band((0, 0, 1, 0.26), _HEADS),)),
    Style(4, (1.1, 2.3), ((white, black),),
          (*_EGYPT, Line(("nnn", "nnnn"), (0.03, 0.36, 0.48, 0.92), "arabic"),
           Line(("a a", "a a a"), (0.54, 0.36, 0.97, 0.92), "arabic")),
          (Band((0, 0, 1, 0.26), _HEADS), Band((0.5, 0.26, 0.52, 1), (black,)))),
    Style(2, (1.25, 2.0), ((white, black), (white, black), (yellow, black), (blue, white)), _QUARTERS,
          (Band((0.95, 0, 1, 1), (white, green, blue)), *_CROSS)),
    Style(2, (3.8, 4.8), ((white, black), (white, black), (yellow, black), (blue, white)), _QUARTERS,
          (Band((0.95, 0, 1, 1), (white, green, blue)), *_CROSS)),
    Style(2, (4.2, 5.0), ((white, black),),
          (Line(("ddddd", "dddd"), (0.03, 0.14, 0.52, 0.88)), Line(("a",), (0.58, 0.12, 0.74, 0.9), "arabic"),
           Line(("dd", "d"), (0.8, 0.14, 0.97, 0.88))),
          (Band((0.55, 0.05, 0.56, 0.95), (black,)), Band((0.77, 0.05, 0.78, 0.95), (black,)))),
    Style(1, (1.1, 1.5), ((white, black),),
          (Line(("dd",), (0.08, 0.08, 0.4, 0.46)), Line(("a",), (0.55, 0.06, 0.9, 0.46), "arabic"),
           Line(("ddddd",), BOTTOM))),
    Style(2, (4.2, 4.9), ((white, black), (white, black), (yellow, black), (red, white)),
          (Line(("nn",), (0.11, 0.14, 0.28, 0.88), "arabic"), Line(("a",), (0.32, 0.12, 0.46, 0.9), "arabic"),
           Line(("nnn",), (0.5, 0.14, 0.78, 0.88), "arabic"), Line(("nn",), (0.84, 0.35, 0.98, 0.9), "arabic")),
          (Band((0, 0, 0.08, 1), (blue,)), Band((0.81, 0.05, 0.82, 0.95), (black,)))),
    Style(1, (1.2, 1.5), ((white, black), (yellow, black)),
          (Line(("nnn",), (0.2, 0.06, 0.95, 0.48), "arabic"), Line(("nnnnn",), BOTTOM, "arabic")),
          (Band((0, 0, 0.14, 0.45), (blue,)),)),
    Style(2, (1.2, 1.7), ((white, black), (yellow, black), (gray, black), (red, white)),
          (Line(("nnn", "nnnn", "nn"), TOP, "arabic"), Line(("nnnnn", "nnn", "aaa", "aaaa"), BOTTOM, "arabic"))),
    Style(2, (3.4, 4.8), ((white, black), (yellow, black), (gray, black)),
          (Line(("nnnnn", "nnnnnn"), ONE_ROW, "arabic"),)),
)  # fmt: skip
