"""Naming masked faces with a trained recognizer, among people of whom the attacker owns a photograph each.

The probe is the masked face, cut and turned as the clear one shows it best, which favors the attacker. The gallery is
either clear, or masked in the same way with noise of its own ("parrot"; McPherson et al., 2016); of the very same
photograph, or of a simulated other one: mirrored, in other light and a little off. The photographs are gray beside the
mask, so that only what it hides can be recognized.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from benchmarks.attack.chance import Share
from benchmarks.attack.people import Person
from benchmarks.attack.recognizer import Descriptors, Recognizer
from benchmarks.attack.views import CATALOG, mask_of
from service.imaging.cells import picture_secret
from service.imaging.obscuring import obscure
from service.imaging.raster import ColorModel, Raster, UInt8Image
from service.policy import Obscure, Policy

QUALITY = 90

Hide = Callable[[Person, bytes], UInt8Image]
"""The whole photograph with the face hidden, given a secret."""


def veil(**changes: object) -> Hide:
    """The service's obscuring; `changes` are options of the class."""
    policy = Policy(classes=(CATALOG["face"].model_copy(update=changes),))

    def hide(person: Person, secret: bytes) -> UInt8Image:
        raster = Raster(person.photo.copy(), ColorModel.RGB, alpha=False)
        mask = mask_of(person.box, policy, (raster.width, raster.height))
        shown = obscure(raster, mask, picture_secret(secret, person.photo.tobytes())).raster.pixels
        _, data = cv2.imencode(".jpg", shown[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])  # type: ignore[index]

    return hide


def gaussian(share: float) -> Hide:
    """A control: standard deviation as a share of the face's width."""

    def hide(person: Person, _: bytes) -> UInt8Image:
        sigma = share * (person.box[2] - person.box[0])
        return cv2.GaussianBlur(person.photo, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.uint8)

    return hide


def mosaic(cells: int) -> Hide:
    """A control: this many cells over the face's width."""

    def hide(person: Person, _: bytes) -> UInt8Image:
        height, width = person.photo.shape[:2]
        pitch = (person.box[2] - person.box[0]) / cells
        few = cv2.resize(person.photo, (round(width / pitch), round(height / pitch)), interpolation=cv2.INTER_AREA)
        return cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)

    return hide


def clear(person: Person, _: bytes) -> UInt8Image:
    """Nothing hidden: what the recognizer can do at all."""
    return person.photo


MODES: tuple[tuple[str, Hide, bool], ...] = (
    ("nothing hidden", clear, False),
    ("Gaussian, σ = width / 16", gaussian(1 / 16), False),
    ("Gaussian, σ = width / 8", gaussian(1 / 8), False),
    ("mosaic, 16 cells per width", mosaic(16), False),
    ("mosaic, 8 cells per width", mosaic(8), False),
    ("`blur` (default)", veil(), True),
    ("`pixelate`", veil(obscure=Obscure.PIXELATE), True),
    ("`blur`, `strength=2`", veil(strength=2.0), True),
    ("`fill`", veil(obscure=Obscure.FILL), False),
)
"""Name, way of hiding, and whether it differs from one secret to the next."""


def another(photo: UInt8Image, rng: np.random.Generator) -> UInt8Image:
    """What another photograph of the aligned face `photo` might be: mirrored, ± 8° turned, other light."""
    height, width = photo.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.94, 1.06))
    moved = cv2.warpAffine(photo[:, ::-1], move, (width, height), borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    return np.clip(np.rint(moved * rng.uniform(0.8, 1.2) * (1 + rng.uniform(-0.3, 0.3) * across)), 0, 255).astype(
        np.uint8
    )


class Attack:
    """The recognizer against `people`, each known by one photograph."""

    def __init__(self, recognizer: Recognizer, people: Sequence[Person], rng: np.random.Generator) -> None:
        self._recognizer = recognizer
        self._people = people
        self._rng = rng
        chips = self._chips(clear)
        self._same = recognizer.describe(chips)
        self._another = recognizer.describe([another(chip, rng) for chip in chips])

    @property
    def chance(self) -> float:
        return 1 / len(self._people)

    def named(self, hide: Hide, rounds: int = 1) -> tuple[Share, Share, Share]:
        """How often the nearest is the right one: by the same photograph, another one, and the same one masked too."""
        right = np.zeros(3, int)
        for _ in range(rounds):
            probes = self._recognizer.describe(self._chips(hide))
            parrots = self._recognizer.describe(self._chips(hide))
            right += [self._right(probes, gallery) for gallery in (self._same, self._another, parrots)]
        same, other, parrot = (Share(int(each), rounds * len(self._people)) for each in right)
        return same, other, parrot

    def _chips(self, hide: Hide) -> list[UInt8Image]:
        return [self._recognizer.chip(hide(each, self._rng.bytes(16)), each.landmarks) for each in self._people]

    def _right(self, probes: Descriptors, gallery: Descriptors) -> int:
        distance = np.linalg.norm(probes[:, None] - gallery[None], axis=2)
        # Where all look alike he guesses.
        distance += self._rng.uniform(0, 1e-6, distance.shape)
        return int((distance.argmin(axis=1) == np.arange(len(probes))).sum())


def rows(attack: Attack, rounds: int) -> None:
    """Prints the table; `rounds` are for the modes that have noise."""
    print("\n| mode | same photograph | another | same photograph, masked too |\n|---|---|---|---|")
    for name, hide, noisy in MODES:
        found = attack.named(hide, rounds if noisy else 1)
        print("| " + " | ".join([name, *map(str, found)]) + " |", flush=True)
    print(f"| chance | {attack.chance:.3f} | {attack.chance:.3f} | {attack.chance:.3f} |")
