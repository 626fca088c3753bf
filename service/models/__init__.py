"""The detectors as files: which there are, how they are made, and whether they are the right ones."""
