"""How the gate is made: a small network that learns in which tiles the released detectors find nothing at all."""
