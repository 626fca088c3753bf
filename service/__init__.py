"""Veil: hides faces and licence plates in street-level photographs, on your own hardware."""

from importlib.metadata import version

__version__ = version("veil")
