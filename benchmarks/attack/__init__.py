"""Attacks on what masks show, by who knows everything but the secret: `python -m benchmarks.attack`."""
