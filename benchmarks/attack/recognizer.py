"""A trained face recognizer: dlib's residual network of 29 layers, trained on three million faces (King, 2017).

It tells people apart with 99.4 % accuracy on Labeled Faces in the Wild. `requirements/tools.sh recognizer` installs it.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from service.imaging.raster import UInt8Image

FOLDER = Path(__file__).parents[2] / ".cache" / "recognizer"
CHIP = 150
"""Pixels; side of the aligned faces that the network was trained on."""

PADDING = 0.25
"""Share of a chip around the landmarks, as in training."""

Descriptors = npt.NDArray[np.float64]


class MissingRecognizer(Exception):
    """The recognizer is not installed."""


class Recognizer:
    """Raises MissingRecognizer if it is not installed."""

    def __init__(self) -> None:
        site = next(FOLDER.glob("lib/python*/site-packages"), None)
        if site is None or not (FOLDER / "installed.txt").exists():
            raise MissingRecognizer("run `bash requirements/tools.sh recognizer`")
        if str(site) not in sys.path:
            sys.path.append(str(site))
        import dlib

        models = site / "face_recognition_models" / "models"
        self._dlib: Any = dlib
        self._network = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))
        self._landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))

    def landmarks(self, rgb: UInt8Image, box: tuple[float, float, float, float]) -> Any:
        """Eyes and nose of the face in `box` of `rgb` (h, w, 3), for `chip`."""
        return self._landmarks(rgb, self._dlib.rectangle(*(round(v) for v in box)))

    def chip(self, rgb: UInt8Image, landmarks: Any) -> UInt8Image:
        """The face at `landmarks`, upright and centered: (CHIP, CHIP, 3) uint8."""
        found: UInt8Image = self._dlib.get_face_chip(rgb, landmarks, CHIP, PADDING)
        return found

    def describe(self, chips: list[UInt8Image]) -> Descriptors:
        """One point of a space in which faces of one person lie closer than 0.6: (n, 128)."""
        return np.array(self._network.compute_face_descriptor(chips), np.float64)
