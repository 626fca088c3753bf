"""Measurements. Every figure in the docs comes from here, as a median, with the command that reproduces it."""
