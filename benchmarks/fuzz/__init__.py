"""Coverage-guided fuzzing (atheris, libFuzzer) of what reads uploads: `python -m benchmarks.fuzz --minutes 30`."""
