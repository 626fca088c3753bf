"""Tiles of photographs and what the released detectors find in them: what the gate learns from.

Nobody's annotations are needed: a tile is worth a look when the detectors behind the gate would find something there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.app.detectors import as_computed
from service.imaging.views import PAD
from service.models.catalog import Catalog, ModelSpec
from service.settings import Settings
from training.fonts import Fonts
from training.photographs import Boxes, boxes
from training.plates import Plates
from training.rendering import paste, seen_from
from training.signs import Signs

SIDE = 640
STRIDE = 16
"""Pixels of a tile per cell of the gate's map, on both axes."""
QUALITY = 95
LEAST = 0.03
"""Boxes of a lower score are not kept."""
SCALES = (1.0, 1.0, 1.0, 2.0, 2.0, 0.7, 0.5)
"""Of each photograph a tile at each of these scales, times up to `SPREAD` more or less."""
SPREAD = 1.37
LETTERED, PLATED = 0.4, 0.25
"""Shares of tiles into which lettering and signs are drawn, and plates: photographs of cars have little of the one, and
of the other those of few countries. What the detectors find in it is what counts."""
LABELS = "labels-*.jsonl"


@dataclass(frozen=True)
class Tile:
    """A tile as JPEG, and for each class the boxes (n, 4) and scores (n,) that its detector gives."""

    jpeg: bytes
    found: Mapping[str, tuple[Boxes, NDArray[np.float32]]]

    def pixels(self) -> NDArray[np.uint8]:
        """(SIDE, SIDE, 3) uint8 RGB."""
        decoded = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        return np.asarray(decoded, np.uint8)


class Teachers:
    """The detectors of a repository, on one thread, as the embedded engine computes them; those of one class each."""

    def __init__(self, repository: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        settings = Settings.load({"VEIL_MODELS__REPOSITORY": str(repository)})
        catalog = as_computed(settings, Catalog.read(repository))
        self._sessions = {
            spec.classes[0]: ort.InferenceSession(catalog.file(spec), options, providers=["CPUExecutionProvider"])
            for spec in _teaching(catalog)
        }

    def find(self, pixels: NDArray[np.uint8]) -> dict[str, tuple[Boxes, NDArray[np.float32]]]:
        """By class, the boxes and scores of at least `LEAST` in a tile (SIDE, SIDE, 3) RGB."""
        found = {}
        for name, session in self._sessions.items():
            every, scores = (np.asarray(each)[0] for each in session.run(["boxes", "scores"], {"tiles": pixels[None]}))
            found[name] = every[scores >= LEAST], scores[scores >= LEAST]
        return found


def thresholds(repository: Path) -> dict[str, float]:
    """By class, the threshold of its detector."""
    return {spec.classes[0]: spec.threshold for spec in _teaching(Catalog.read(repository))}


def labels(repository: Path) -> list[str]:
    """Of the detectors that `Teachers` asks."""
    return [spec.label for spec in _teaching(Catalog.read(repository))]


def _teaching(catalog: Catalog) -> list[ModelSpec]:
    return [spec for spec in catalog.specs if len(spec.classes) == 1]


class Additions:
    """Draws into tiles what photographs have too little of."""

    def __init__(self, fonts: Fonts) -> None:
        self._plates, self._signs = Plates(fonts), Signs(fonts)

    def draw(self, tile: NDArray[np.uint8], rng: np.random.Generator) -> None:
        """Perhaps signs, perhaps plates; into `tile` (SIDE, SIDE, 3) BGR, in place."""
        if rng.random() < LETTERED:
            panels = [self._signs.panel(rng) for _ in range(2)]
            for _ in range(int(rng.integers(1, 4))):
                self._signs.scatter(tile, panels, [], rng)
        if rng.random() < PLATED:
            for _ in range(int(rng.integers(1, 4))):
                plate = self._plates.draw(rng)
                height, aspect = float(np.exp(rng.uniform(np.log(8), np.log(160)))), plate.shape[1] / plate.shape[0]
                x, y = rng.uniform(0, SIDE, 2)
                paste(tile, plate, seen_from(x, y, height, aspect, rng), rng)


def write(
    photographs: Sequence[Path], teachers: Teachers, additions: Additions | None, folder: Path, part: int, parts: int
) -> int:
    """Writes the tiles of every `parts`th photograph to `folder`, beginning with number `part`; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with (folder / f"labels-{part}.jsonl").open("w", encoding="utf-8") as lines:
        for number in range(part, len(photographs), parts):
            for tile in _cut(photographs[number], np.random.default_rng(number), additions):
                name = f"{number:05d}-{count:06d}.jpg"
                (folder / name).write_bytes(tile)
                found = teachers.find(Tile(tile, {}).pixels())
                rows = {
                    key: [[round(float(v), 3) for v in (*box, score)] for box, score in zip(*each, strict=True)]
                    for key, each in found.items()
                }
                lines.write(json.dumps({"tile": name, "found": rows}) + "\n")
                count += 1
    return count


def read(folder: Path) -> list[Tile]:
    """Every tile of a folder, as JPEG in memory. Raises ValueError if there are none."""
    tiles = [tile for file in sorted(folder.glob(LABELS)) for tile in _lines(file)]
    if not tiles:
        raise ValueError(f"{folder}: no tiles; run 'python -m training gate tiles'")
    return tiles


def _lines(file: Path) -> Iterator[Tile]:
    for line in file.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        found = {
            name: (boxes(row[:4] for row in rows), np.array([row[4] for row in rows], np.float32))
            for name, rows in entry["found"].items()
        }
        yield Tile((file.parent / entry["tile"]).read_bytes(), found)


def _cut(photograph: Path, rng: np.random.Generator, additions: Additions | None) -> Iterator[bytes]:
    picture = cv2.imread(str(photograph), cv2.IMREAD_COLOR)
    if picture is None:
        return
    for scale in SCALES:
        drawn = scale * SPREAD ** rng.uniform(-1, 1)
        shown = cv2.resize(
            picture, None, fx=drawn, fy=drawn, interpolation=cv2.INTER_AREA if drawn < 1 else cv2.INTER_CUBIC
        )
        height, width = shown.shape[:2]
        x, y = int(rng.integers(max(1, width - SIDE + 1))), int(rng.integers(max(1, height - SIDE + 1)))
        tile = np.full((SIDE, SIDE, 3), PAD, np.uint8)
        window = shown[y : y + SIDE, x : x + SIDE]
        tile[: window.shape[0], : window.shape[1]] = window
        if additions is not None:
            additions.draw(tile, rng)
        done, jpeg = cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if done:
            yield jpeg.tobytes()
