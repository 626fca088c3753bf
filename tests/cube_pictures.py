"""The six faces of a cube, cut from a panorama by formulas of their own, so that the convention itself is tested."""

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

NAMES = ("front", "right", "back", "left", "up", "down")


def face_of(scene: Picture, name: str, side: int) -> Picture:
    """The face `name`, (side, side, 3), of `scene`, a whole panorama whose middle is the middle of `front`."""
    longitude, latitude = face_angles(name, side)
    height, width = scene.shape[:2]
    x = (longitude / (2 * np.pi) + 0.5) * width - 0.5
    y = (0.5 - latitude / np.pi) * height - 0.5
    padded = np.hstack([scene[:, -2:], scene, scene[:, :2]])
    at = (x % width + 2).astype(np.float32), y.astype(np.float32)
    return np.asarray(cv2.remap(padded, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def face_angles(name: str, side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Longitude and latitude, radians, of the middle of each pixel of a face: (side, side) each."""
    steps = (np.arange(side) + 0.5) * 2 / side - 1
    u, v = np.meshgrid(steps, steps)
    if name == "up":  # its lower edge, v = 1, is the upper edge of front
        return np.arctan2(u, v), np.arctan2(1, np.hypot(u, v))
    if name == "down":  # its upper edge, v = -1, is the lower edge of front
        return np.arctan2(u, -v), -np.arctan2(1, np.hypot(u, v))
    turned = {"front": 0, "right": np.pi / 2, "back": np.pi, "left": -np.pi / 2}[name]
    return np.arctan2(u, 1) + turned, np.arctan2(-v, np.hypot(u, 1))
