"""What an attacker sees of a masked object, as a vector, and what he would see of any other one without noise.

The obscuring itself is the service's own: `build_mask` and `obscure` on a whole picture, then a JPEG if asked for. The
controls are the classic operators that are read by the same attacks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from service.imaging.cells import Grid, grid, picture_secret
from service.imaging.detections import Detections
from service.imaging.layers import Layer
from service.imaging.masking import Mask, build_mask
from service.imaging.obscuring import obscure
from service.imaging.raster import ColorModel, Raster
from service.policy import ClassPolicy, Obscure, Policy, Shape

Gray = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]

CATALOG = {
    "face": ClassPolicy(name="face", threshold=0.2, margin=0.05, shape=Shape.ELLIPSE),
    "plate": ClassPolicy(name="plate", threshold=0.45, margin=0.1, shape=Shape.BOX),
}
"""The classes as the model catalog has them, with the default obscuring."""


@dataclass(frozen=True)
class Seen:
    """One way of obscuring: `observe` what is published of a picture, `predict` what a picture would give."""

    name: str
    observe: Callable[[Gray, bytes], Vectors]
    predict: Callable[[Gray], Vectors]


def veil(name: str, box: Box, size: tuple[int, int], *, jpeg: int | None = 90, **changes: object) -> Seen:
    """The service's obscuring of an object of class `name` in `box`, in a picture of `size` (w, h).

    `changes` are options of its class. The attacker takes cells for means of what they hide, as those of a mosaic are,
    and undoes the smoothing: least squares over what the cells, whose places he knows, add to the pixels of the core.
    """
    policy = Policy(classes=(CATALOG[name].model_copy(update=changes),))
    mask = mask_of(box, policy, size)
    region = mask.regions[0]
    cells = grid(region, *size)
    x1, y1, x2, y2 = mask.window(region)
    core = mask.alpha(region, (x1, y1, x2, y2)) == 1
    basis = _basis(region.obscure, cells, mask)[:, core]
    solve = np.linalg.pinv(basis.T, rcond=1e-3)
    visible = solve @ basis.T

    def observe(picture: Gray, secret: bytes) -> Vectors:
        seen = shown(name, box, picture, secret, jpeg=jpeg, **changes)
        return np.asarray(solve @ seen[y1:y2, x1:x2][core].astype(np.float64))

    def predict(picture: Gray) -> Vectors:
        left, top, right, bottom = cells.window
        means = cv2.resize(
            picture[top:bottom, left:right].astype(np.float32),
            (cells.columns, cells.rows),
            interpolation=cv2.INTER_AREA,
        )
        return np.asarray(visible @ means.ravel().astype(np.float64))

    return Seen(f"{region.obscure} × {region.strength:g}", observe, predict)


def mask_of(box: Box, policy: Policy, size: tuple[int, int]) -> Mask:
    names = policy.class_names
    found = Detections(
        np.array([box], np.float32), np.ones(1, np.float32), *(np.zeros(1, np.int32),) * 2, names, ("known/1",)
    )
    return build_mask(found, policy, *size)


def _basis(way: Obscure, cells: Grid, mask: Mask) -> npt.NDArray[np.float64]:
    """What each cell alone adds to the window of the only region: (cells, h, w), of a cell of value 1."""
    if way is Obscure.FILL:
        x1, y1, x2, y2 = mask.window(mask.regions[0])
        return np.zeros((cells.columns * cells.rows, y2 - y1, x2 - x1))
    found = []
    for index in range(cells.columns * cells.rows):
        one = np.zeros((cells.rows, cells.columns, 1), np.uint16)
        one[index // cells.columns, index % cells.columns] = 50_000
        layer = Layer(mask.regions[0], mask.window(mask.regions[0]), cells.window, one)
        found.append(layer.part(layer.window)[:, :, 0].astype(np.float64) / 50_000)
    return np.array(found)


def gaussian(sigma: float, box: Box, *, jpeg: int | None = 90) -> Seen:
    """The control that everybody knows."""

    reach = math.ceil(2.5 * sigma)
    left, top, right, bottom = (
        max(0, round(v)) for v in (*(v - reach for v in box[:2]), *(v + reach for v in box[2:]))
    )

    def blurred(picture: Gray) -> npt.NDArray[np.float64]:
        """Blurred in the box, and around it as far as what is there has a say in it."""
        seen = picture.astype(np.float32)
        part, taps = seen[top:bottom, left:right], (2 * reach + 1,) * 2
        seen[top:bottom, left:right] = cv2.GaussianBlur(part, taps, sigma, borderType=cv2.BORDER_REPLICATE)
        return seen.astype(np.float64)

    return _plain(f"Gaussian σ {sigma:g} px", blurred, box, jpeg)


def mosaic(pitch: float, box: Box, *, jpeg: int | None = 90) -> Seen:
    """Plain pixelation with square cells of `pitch` pixels over the box."""
    x1, y1, x2, y2 = (round(v) for v in box)
    cells = max(1, round((x2 - x1) / pitch)), max(1, round((y2 - y1) / pitch))

    def pixelated(picture: Gray) -> npt.NDArray[np.float64]:
        mosaic = picture.astype(np.float64)
        few = cv2.resize(mosaic[y1:y2, x1:x2], cells, interpolation=cv2.INTER_AREA)
        mosaic[y1:y2, x1:x2] = cv2.resize(few, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
        return mosaic

    return _plain(f"mosaic of {cells[0]} × {cells[1]}", pixelated, box, jpeg)


def _plain(name: str, operator: Callable[[Gray], npt.NDArray[np.float64]], box: Box, jpeg: int | None) -> Seen:
    x1, y1, x2, y2 = (round(v) for v in box)

    def observe(picture: Gray, _: bytes) -> Vectors:
        seen = np.clip(np.rint(operator(picture)), 0, 255).astype(np.uint8)
        return published(seen, jpeg)[y1:y2, x1:x2].ravel().astype(np.float64)

    return Seen(name, observe, lambda picture: operator(picture)[y1:y2, x1:x2].ravel().astype(np.float64))


def together(views: Sequence[Seen]) -> Seen:
    """Several results of the same picture, looked at as one."""
    return Seen(
        f"{len(views)} results",
        lambda picture, secret: np.concatenate([view.observe(picture, secret) for view in views]),
        lambda picture: np.concatenate([view.predict(picture) for view in views]),
    )


def requests(name: str, box: Box, size: tuple[int, int], count: int, rng: np.random.Generator) -> Seen:
    """Results of `count` requests for the same picture: boxes a few pixels off, every option changed."""
    ways = (Obscure.BLUR, Obscure.PIXELATE)
    options = [
        {
            "margin": float(rng.uniform(0, 1)),
            "strength": float(rng.choice([1, 1, 1, 1.5, 2, 3])),
            "obscure": ways[rng.integers(2)],
            "jpeg": (None, 75, 90, 95)[rng.integers(4)],
        }
        for _ in range(count)
    ]
    return together([veil(name, _near(box, rng), size, **each) for each in options])  # type: ignore[arg-type]


def frames(name: str, box: Box, size: tuple[int, int], count: int, rng: np.random.Generator) -> Seen:
    """`count` photographs of the same object, each at another place of the picture, each masked once."""
    views = []
    for _ in range(count):
        x, y = (int(v) for v in rng.integers(-60, 61, 2))
        moved = (box[0] + x, box[1] + y, box[2] + x, box[3] + y)
        views.append(_moved(veil(name, moved, size), x, y))
    return together(views)


def _near(box: Box, rng: np.random.Generator) -> Box:
    x1, y1, x2, y2 = np.add(box, rng.uniform(-3, 3, 4)).tolist()
    return x1, y1, x2, y2


def _moved(view: Seen, x: int, y: int) -> Seen:
    def move(picture: Gray) -> Gray:
        return np.roll(picture, (y, x), (0, 1))

    return Seen(view.name, lambda p, secret: view.observe(move(p), secret), lambda p: view.predict(move(p)))


def shown(name: str, box: Box, picture: Gray, secret: bytes, *, jpeg: int | None = 90, **changes: object) -> Gray:
    """What the service publishes of a gray `picture`: (h, w) uint8."""
    policy = Policy(classes=(CATALOG[name].model_copy(update=changes),))
    height, width = picture.shape
    raster = Raster(picture[:, :, None].copy(), ColorModel.GRAY, alpha=False)
    # The picture stands for its file: the same one gets the same noise.
    masked = obscure(raster, mask_of(box, policy, (width, height)), picture_secret(secret, picture.tobytes()))
    return published(masked.raster.pixels[:, :, 0], jpeg)


def published(pixels: Gray, jpeg: int | None) -> Gray:
    if jpeg is None:
        return pixels
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, jpeg])
    assert done
    back = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert back is not None
    return back.astype(np.uint8)
