"""Real faults under load, and what they cost: `python -m benchmarks.faults`. `tests/faults` runs the same, shorter."""
