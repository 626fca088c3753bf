"""Veil: hides faces and license plates in street-level photographs, on your own hardware."""

import os
from importlib.metadata import version

# ONNX Runtime reports its use to its maker and keeps a device id on disk, unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = version("veil")
