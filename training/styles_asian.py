"""Plates of East, South and South-East Asia, motorcycles among them."""

from training.ink import black, blue, green, red, white, yellow
from training.styles import BOTTOM, ONE_ROW, TOP, Band, Line, Style

_INDIA = ((white, black),) * 6 + ((yellow, black),) * 3 + ((green, white), (black, yellow))

STYLES = (
    Style(4, (3.0, 3.4), ((blue, white),) * 5 + ((green, white), (yellow, black), (white, black)),
          (Line(("z",), (0.03, 0.12, 0.16, 0.88), "cjk"),
           Line(("l·dddld", "l ddddd", "ldddd"), (0.17, 0.12, 0.97, 0.88)))),
    Style(2, (1.4, 2.0), ((blue, white), (yellow, black), (green, white)),
          (Line(("z",), (0.22, 0.06, 0.46, 0.42), "cjk"), Line(("l",), (0.54, 0.08, 0.74, 0.4)),
           Line(("ddddd", "dlddd"), (0.05, 0.48, 0.95, 0.94)))),
    Style(4, (1.9, 2.1), ((white, green), (white, green), (yellow, black), (green, white)),
          (Line(("横浜 ddd", "品川 ddd", "大阪 dd", "札幌 ddd"), (0.2, 0.06, 0.8, 0.34), "cjk"),
           Line(("h",), (0.04, 0.52, 0.15, 0.82), "cjk"), Line(("dd-dd",), (0.18, 0.4, 0.97, 0.94)))),
    Style(2, (4.4, 4.8), ((white, black), (white, black), (yellow, black)), (
           Line(("dddk dddd", "ddk dddd"), ONE_ROW, "cjk"),)),
    Style(1, (1.9, 2.1), ((white, black), (yellow, black), (green, white)),
          (Line(("ddk",), (0.2, 0.06, 0.8, 0.38), "cjk"), Line(("dddd",), (0.06, 0.42, 0.94, 0.94)))),
    Style(4, (3.8, 4.6), _INDIA, (Line(("ll dd ll dddd", "llddlldddd", "ll-dd-l-dddd"), ONE_ROW, stretch=(0.7, 1.0)),)),
    Style(5, (1.2, 2.2), _INDIA, (Line(("ll dd", "ll-dd", "lldd l", "ll dd ll", "ll"), TOP),
                                  Line(("dddd", "ll dddd", "l dddd", "lldddd"), BOTTOM))),
    Style(6, (1.25, 1.5), ((white, black),) * 8 + ((blue, white), (yellow, black)),
          (Line(("dd-ld", "ddld", "dd-ll", "dd ld"), TOP), Line(("dddd", "ddd.dd", "ddddd"), BOTTOM))),
    Style(1, (4.2, 4.7), ((white, black), (yellow, black)), (Line(("ddl-ddddd", "ddl-ddd.dd"),),)),
    Style(2, (2.0, 2.2), ((white, black), (yellow, black)),
          (Line(("tt dddd", "dtt dddd"), (0.06, 0.08, 0.94, 0.62), "thai"),
           Line(("กรงเทพ", "ชลบร", "เชยงใหม"), (0.2, 0.68, 0.8, 0.94), "thai", literal=True))),
    Style(2, (1.1, 1.4), ((white, black),),
          (Line(("dtt", "tt"), (0.1, 0.05, 0.9, 0.36), "thai"),
           Line(("กรงเทพ", "ชลบร", "ขอนแกน"), (0.12, 0.4, 0.88, 0.58), "thai", literal=True),
           Line(("dddd",), (0.06, 0.62, 0.94, 0.95)))),
    Style(3, (2.3, 2.8), ((black, white), (white, black), (red, white)),
          (Line(("l dddd lll", "ll dddd ll", "l dddd ll"), (0.04, 0.12, 0.96, 0.68)),
           Line(("dd·dd",), (0.3, 0.74, 0.7, 0.95)))),
    Style(2, (3.2, 4.8), ((black, white),), (Line(("lll dddd", "wdd", "ll dddd l"),),)),
    Style(2, (1.7, 4.4), ((white, black), (white, green), (white, red)),
          (Line(("lll-dddd", "dddd-ll", "lll-ddd"), (0.05, 0.17, 0.95, 0.85)),)),
    Style(4, (1.0, 2.0), ((white, black), (yellow, black), (black, white), (green, white), (red, white), (blue, white)),
          (Line(("lll", "ll", "lldd", "dd l", "lel dd", "ddd"), TOP),
           Line(("dddd", "ddd", "ll dd", "dddl", "dd dd"), BOTTOM))),
    Style(2, (1.1, 1.5), ((white, black), (white, black), (yellow, black)),
          (Line(("lll", "ll", "lld"), (0.1, 0.24, 0.9, 0.56)), Line(("dddd", "dddl", "ddd"), (0.08, 0.62, 0.92, 0.95))),
          (Band((0, 0, 1, 0.2), (blue, red), 0.5),)),
)  # fmt: skip
"""The last two are the two-row motorcycle plates that many countries share."""
