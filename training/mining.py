"""Hard negatives: boxes that a model finds in training photographs where no plate is annotated, for a person to judge.

Annotations of street photographs miss many far and dark plates: more than half of the highest-scored "false" boxes on
the Open Images training list were plates. Training on them unseen would teach the network to overlook plates.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from training.ink import Pixels
from training.photographs import Labels
from training.scoring import is_false
from training.search import search

VERDICTS = ("plate", "lookalike", "unclear")
_TILE = (108, 80)
"""Width and height of a box's picture on a sheet, in pixels."""
_COLUMNS, _ROWS = 14, 10


@dataclass(frozen=True)
class Candidate:
    """A box (x1, y1, x2, y2 in the photograph's pixels) and the model's score."""

    id: str
    file: Path
    box: tuple[float, float, float, float]
    score: float


def candidates(repository: Path, photographs: Iterable[Labels], least: float) -> list[Candidate]:
    """Boxes of at least the score `least` that touch nothing annotated or reviewed, highest first."""
    found = []
    for each in search(repository, photographs):
        reviewed = replace(each.labels, unclear=np.concatenate([each.labels.lookalikes, each.labels.unclear]))
        with_reviewed = replace(each, labels=reviewed)
        known = np.concatenate([reviewed.plates, reviewed.unclear])
        for box, score in zip(each.objects, each.object_scores, strict=True):
            if score >= least and is_false(with_reviewed, box[None])[0] and not _inside(box, known):
                x1, y1, x2, y2 = (round(float(value), 1) for value in box)
                found.append(Candidate(each.labels.id, each.labels.file, (x1, y1, x2, y2), float(score)))
    return sorted(found, key=lambda each: (-each.score, each.id, each.box))


def _inside(
    box: np.ndarray[tuple[int], np.dtype[np.float32]], known: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> bool:
    middle = (box[:2] + box[2:]) / 2
    return bool(((known[:, :2] <= middle) & (middle <= known[:, 2:])).all(1).any())


def sheets(found: Sequence[Candidate], folder: Path) -> None:
    """Numbered pictures of the candidates (`sheet-00.png`, …) and `verdicts.json`, to be filled in, in `folder`.

    The sheets show parts of photographs: they belong where the photographs are, not into a repository.
    """
    folder.mkdir(parents=True, exist_ok=True)
    per_sheet = _COLUMNS * _ROWS
    for page in range(-(-len(found) // per_sheet)):
        tiles = [_tile(k, found[k]) for k in range(page * per_sheet, min(len(found), (page + 1) * per_sheet))]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
        rows = [np.hstack(tiles[k : k + _COLUMNS]) for k in range(0, len(tiles), _COLUMNS)]
        cv2.imwrite(str(folder / f"sheet-{page:02d}.png"), np.vstack(rows))
    rows_of_verdicts = [[each.id, *each.box, round(each.score, 3), None] for each in found]
    text = ",\n".join(json.dumps(row) for row in rows_of_verdicts)
    (folder / "verdicts.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")


def _tile(number: int, candidate: Candidate) -> Pixels:
    picture = cv2.imread(str(candidate.file))
    tile = np.zeros((_TILE[1] + 14, _TILE[0], 3), np.uint8)
    if picture is not None:
        x1, y1, x2, y2 = candidate.box
        around = 0.8 * max(x2 - x1, y2 - y1)
        left, top = int(max(0, x1 - around)), int(max(0, y1 - 0.6 * around))
        part = picture[top : int(y2 + 0.6 * around), left : int(x2 + around)].copy()
        scale = min(_TILE[0] / part.shape[1], _TILE[1] / part.shape[0])
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[: _TILE[1], : _TILE[0]]
        corners = ((np.array([x1, y1, x2, y2]) - [left, top, left, top]) * scale).astype(int).tolist()
        cv2.rectangle(part, tuple(corners[:2]), tuple(corners[2:]), (0, 255, 0), 1)
        tile[14 : 14 + part.shape[0], : part.shape[1]] = part
    cv2.putText(tile, str(number), (0, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (255, 255, 255), 1)
    return tile


def merge(verdicts: Path, lists: Path) -> int:
    """Adds the filled-in verdicts to `reviewed.json` in `lists`; how many. Raises ValueError for an unknown verdict."""
    known: dict[str, list[list[object]]] = json.loads((lists / "reviewed.json").read_text(encoding="utf-8"))
    added = 0
    for name, x1, y1, x2, y2, _, verdict in json.loads(verdicts.read_text(encoding="utf-8")):
        if verdict is None:
            continue
        if verdict not in VERDICTS:
            raise ValueError(f"{verdict!r} is none of {VERDICTS}")
        known.setdefault(name, []).append([x1, y1, x2, y2, verdict])
        added += 1
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known))
    (lists / "reviewed.json").write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
    return added
