"""Undoing a blur without knowing the text: Wiener's filter and Richardson and Lucy's iteration, then reading by eye.

The eye is a comparison of each place with the sharp characters. The attacker tries several widths of a Gaussian and
keeps the one that reads best, which he could not know: what is reported is more than he would get.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from skimage.restoration import richardson_lucy

from benchmarks.attack import plates
from benchmarks.attack.views import Gray

AROUND = 40
"""Pixels beside the plate that the filters get to see."""

Float = npt.NDArray[np.float64]
NOISE = 1e-4
"""Share of noise that Wiener's filter expects; an 8-bit picture has about as much."""


def wiener(shown: Gray, sigma: float) -> Float:
    transfer = np.abs(np.fft.fft2(np.fft.ifftshift(_kernel(shown.shape, sigma))))
    spectrum = np.fft.fft2(shown.astype(np.float64))
    return np.asarray(np.real(np.fft.ifft2(spectrum * transfer / (transfer**2 + NOISE))))


def lucy(shown: Gray, sigma: float) -> Float:
    side = 2 * int(3 * sigma) + 1
    return np.asarray(richardson_lucy(shown / 255, _kernel((side, side), sigma), num_iter=60) * 255)


def _kernel(shape: tuple[int, ...], sigma: float) -> Float:
    down, across = (np.arange(n) - n // 2 for n in shape)
    kernel = np.exp(-(down[:, None] ** 2 + across[None] ** 2) / (2 * sigma**2))
    return np.asarray(kernel / kernel.sum())


def read(sharp: Float) -> list[int]:
    """The character at each place whose shape is most like what is there."""
    return [int(np.argmax(_glyphs(i) @ _shape(sharp, i))) for i in range(plates.LENGTH)]


@cache
def _glyphs(place: int) -> Float:
    texts = ([-1] * place + [c] + [-1] * (plates.LENGTH - 1 - place) for c in range(len(plates.ALPHABET)))
    return np.array([_shape(_cropped(plates.picture(text)).astype(np.float64), place) for text in texts])


def _shape(picture: Float, place: int) -> Float:
    left = AROUND + place * plates.PITCH
    crop = picture[AROUND : AROUND + plates.HEIGHT, left : left + plates.PITCH].ravel()
    centered = crop - crop.mean()
    return np.asarray(centered / max(float(np.linalg.norm(centered)), 1e-9))


def _cropped(picture: Gray) -> Gray:
    right, bottom = plates.LEFT + plates.PITCH * plates.LENGTH + AROUND, plates.TOP + plates.HEIGHT + AROUND
    return picture[plates.TOP - AROUND : bottom, plates.LEFT - AROUND : right]


def recovered(shown: Sequence[Gray], texts: npt.NDArray[np.int64], sigmas: Sequence[float]) -> float:
    """Largest share of characters that any filter of any width brings back."""
    best = 0.0
    for sigma in sigmas:
        for restore in (wiener, lucy):
            found = np.array([read(restore(_cropped(each), sigma)) for each in shown])
            best = max(best, float((found == texts).mean()))
    return best


def blurred(picture: Gray, sigma: float) -> Gray:
    """The control."""
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.uint8)
