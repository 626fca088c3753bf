"""Does turning a panorama change what is hidden? Real objects at known places of a sphere, turned and searched again.

Each scene has faces and plates across the seam, around the horizon, at ±60° and near the poles. It is turned by twelve
yaws and by pitches of up to ±90° and re-projected, so that any place comes to lie on the seam and at a pole. An object
counts as hidden if the fully hiding part of the mask covers 75 % of its box; what is reported is the share of objects
that are hidden turned, of those that are hidden as composed. As a control the same panoramas are searched as flat
pictures, without the seam and without views of the poles.

A panorama that leans makes people in it lean, too, and the detectors were trained on upright ones: objects are
reported by how far they stand off upright in the turned panorama.
"""

import argparse
import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import numpy as np

from benchmarks.spherical_scene import Floats, Picture, Placed, Thing, compose, ground, hidden_share, roll, turn, turned
from service.app.detectors import as_computed, open_detectors
from service.app.veil import default_policy
from service.detection.tiled import TiledDetection
from service.imaging.masking import build_mask
from service.imaging.raster import ColorModel, Raster
from service.models.catalog import Catalog
from service.policy import Policy, Projection
from service.settings import Settings

HIDDEN = 0.75
YAWS = tuple(range(0, 360, 30))
PITCHES = (-90, -60, -30, 30, 60, 90)
LEANING = 30
"""Degrees off upright from which an object leans."""

OVERSAMPLED = 1.5
"""Resolution of the composed scene over that of the panoramas."""

PLACES = (
    *((180, 0), (179, -12), (-178, 15), (177, -35), (-179, 48)),
    *((0, 0), (45, 8), (90, -5), (135, -15), (-135, 3), (-90, 20), (-45, -25)),
    *((20, 60), (110, 60), (-70, 60), (160, 62), (-20, -60), (70, -60), (-110, -60), (-160, -58)),
    *((30, 80), (-150, 78), (60, -80), (-120, -78)),
)
"""Longitudes and latitudes in degrees: across the seam, around the horizon, at ±60°, near the poles."""


async def shares(
    scene: Picture, placed: Sequence[Placed], rotation: Floats, width: int, search: "Search"
) -> list[float]:
    """How much of each object is hidden in `scene`, turned by `rotation`, as a panorama of that `width`."""
    raster = Raster(turned(scene, rotation, width), ColorModel.RGB, alpha=False)
    searched = await search.detection.run(raster, search.policy)
    coverage = build_mask(searched.detections, search.policy, raster.width, raster.height).coverage()
    return [hidden_share(coverage, each, rotation) for each in placed]


class Search:
    """The detectors and the policy that a panorama is searched with."""

    def __init__(self, detection: TiledDetection, policy: Policy) -> None:
        self.detection = detection
        self.policy = policy

    def flat(self) -> "Search":
        """The control: the same without any knowledge of the sphere."""
        return Search(self.detection, self.policy.model_copy(update={"projection": Projection.PLANAR}))


@asynccontextmanager
async def searching(effort: str = "balanced"):  # type: ignore[no-untyped-def]
    """A `Search` by the embedded engine."""
    settings = Settings.load({"VEIL_DEFAULTS__EFFORT": effort})
    catalog = as_computed(settings, Catalog.read(settings.models.repository))
    policy = default_policy(settings, catalog).model_copy(update={"projection": Projection.EQUIRECTANGULAR})
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(2) as cpu:
        async with open_detectors(settings, catalog) as detectors:
            overlap = settings.detection.overlap
            yield Search(
                TiledDetection(detectors, engine="onnxruntime", overlap=overlap, concurrency=2, cpu=cpu), policy
            )


def things(folder: Path, name: str, least: int, seed: int) -> Iterator[Thing]:
    """Objects of class `name`, at least `least` pixels high, of a folder with COCO annotations, in random order."""
    truth = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    files = {each["id"]: each["file_name"] for each in truth["images"]}
    wanted = {each["id"] for each in truth["categories"] if each["name"] == name}
    found = [
        a for a in truth["annotations"] if a["category_id"] in wanted and not a["iscrowd"] and a["bbox"][3] >= least
    ]
    for index in np.random.default_rng(seed).permutation(len(found)):
        x, y, w, h = found[index]["bbox"]
        picture = cv2.imread(str(folder / "images" / files[found[index]["image_id"]]))
        if picture is None:
            continue
        around = 0.9 * max(w, h)
        left, top = max(0, int(x - around)), max(0, int(y - around))
        right, bottom = min(picture.shape[1], int(x + w + around)), min(picture.shape[0], int(y + h + around))
        if min(x - left, y - top, right - x - w, bottom - y - h) < 0.5 * max(w, h):
            continue  # cut by the picture's border: its surroundings would be missing
        pixels = np.ascontiguousarray(picture[top:bottom, left:right, ::-1])
        yield Thing(pixels, (x - left, y - top, x + w - left, y + h - top), name)


def scenes(folder: Path, width: int, count: int, background: Path | None) -> Iterator[tuple[Picture, list[Placed]]]:
    """Each scene: the panorama, oversampled, and what is in it: two faces for each plate."""
    size = int(width * OVERSAMPLED)
    floor = ground(size)
    if background is not None:
        floor = np.ascontiguousarray(cv2.resize(cv2.imread(str(background)), (size, size // 2))[:, :, ::-1])
    faces, plates = things(folder, "face", 60, seed=1), things(folder, "plate", 24, seed=2)
    for number in range(count):
        random = np.random.default_rng(number)
        placed = []
        for index, (longitude, latitude) in enumerate(PLACES):
            is_plate = (index + number) % 3 == 2
            pixels = random.uniform(*((16, 40) if is_plate else (32, 90)))
            place = math.radians(longitude), math.radians(latitude)
            placed.append(Placed(next(plates if is_plate else faces), *place, pixels * 2 * math.pi / width))
        yield compose(floor, placed), placed


async def measure(arguments: argparse.Namespace) -> None:
    turns = [(yaw, 0) for yaw in YAWS[1:]] + [(0, pitch) for pitch in PITCHES]
    if arguments.cross:
        turns = [(yaw, pitch) for pitch in (0, *PITCHES) for yaw in YAWS if (yaw, pitch) != (0, 0)]
    kept: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    async with searching(arguments.effort) as search:
        for scene, placed in scenes(arguments.folder, arguments.width, arguments.scenes, arguments.background):
            start = turn(0, 0)
            before = await shares(scene, placed, start, arguments.width, search)
            count(kept, "as composed, of all objects", before, placed, start, range(len(placed)))
            before_flat = await shares(scene, placed, start, arguments.width, search.flat())
            count(kept, "control: as composed, of all objects", before_flat, placed, start, range(len(placed)))
            reference = [i for i, share in enumerate(before) if share >= HIDDEN]
            for yaw, pitch in turns:
                rotation = turn(math.radians(yaw), math.radians(pitch))
                name = f"yaw {yaw:3d}" if pitch == 0 else f"pitch {pitch:+3d}"
                for kind, tried in (("", search), ("control: ", search.flat())):
                    after = await shares(scene, placed, rotation, arguments.width, tried)
                    count(kept, kind + name, after, placed, rotation, reference)
                    count(
                        kept, kind + ("all yaws" if pitch == 0 else "all pitches"), after, placed, rotation, reference
                    )
            for name, (hidden, total) in kept.items():
                print(f"{name:48s} {hidden:5d} / {total:5d}  {hidden / total:.3f}")
            print(flush=True)


def count(
    kept: dict[str, list[int]],
    name: str,
    found: Sequence[float],
    placed: Sequence[Placed],
    rotation: Floats,
    which: Sequence[int],
) -> None:
    """Adds the objects `which` to the row `name`, and to those of upright and leaning ones."""
    for index in which:
        leaning = roll(placed[index], rotation) > math.radians(LEANING)
        names = [name]
        if "pitch" in name:
            names.append(f"{name}, {'leaning' if leaning else 'upright'}")
        for each in names:
            kept[each][0] += found[index] >= HIDDEN
            kept[each][1] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="pictures with COCO annotations of faces and plates")
    parser.add_argument("--width", type=int, default=4096, help="of the panoramas, in pixels")
    parser.add_argument("--scenes", type=int, default=3)
    parser.add_argument("--background", type=Path, help="a panorama without people; else one is made")
    parser.add_argument("--effort", default="balanced")
    parser.add_argument("--cross", action="store_true", help="every yaw with every pitch")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
