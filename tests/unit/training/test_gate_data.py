"""What the gate learns from: tiles, what the detectors find in them, and crops of both."""

import json
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.toy import write_toy
from training.fonts import Fonts
from training.gate.crops import CELLS, CROP, batches, heat_of
from training.gate.tiles import LEAST, SCALES, SIDE, STRIDE, Additions, Teachers, Tile, labels, read, thresholds, write
from training.photographs import boxes

SIZE = {"tile_width": SIDE, "tile_height": SIDE}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of red, and a gate before it, which teaches nothing."""
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder, "red", side=SIDE, spec=SIZE)
    write_toy(folder, "gate", side=SIDE, spec={**SIZE, "gates": ("red/1",)})
    return folder


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gray, with a red square of 60 pixels at 400, 300."""
    pixels = np.full((700, 900, 3), 120, np.uint8)
    pixels[300:360, 400:460] = (0, 0, 255)
    file = tmp_path_factory.mktemp("photographs") / "one.jpg"
    cv2.imwrite(str(file), pixels)
    return file


def test_every_detector_of_one_class_teaches_and_the_gate_does_not(repository: Path) -> None:
    assert thresholds(repository) == {"red": 0.5}
    assert labels(repository) == ["red/1"]


def test_a_tile_is_kept_with_what_the_detectors_find_in_it(repository: Path, photograph: Path, tmp_path: Path) -> None:
    assert write([photograph], Teachers(repository), None, tmp_path, 0, 1) == len(SCALES)
    tiles = read(tmp_path)
    assert len(tiles) == len(SCALES)
    shown = 0
    for tile in tiles:
        pixels = tile.pixels().astype(int)
        assert pixels.shape == (SIDE, SIDE, 3)
        red = pixels[..., 0] - pixels[..., 1] > 150
        found, scores = tile.found["red"]
        assert (scores >= LEAST).all()
        if red.sum() < 100:
            continue
        shown += 1
        assert scores.max() > 0.5
        x, y = (found[scores.argmax()][:2] + found[scores.argmax()][2:]) / 2
        assert red[int(y), int(x)]
    assert shown


def test_processes_share_the_photographs_and_none_is_lost(repository: Path, photograph: Path, tmp_path: Path) -> None:
    teachers = Teachers(repository)
    several = [photograph] * 3
    assert [write(several, teachers, None, tmp_path, part, 2) for part in (0, 1)] == [2 * len(SCALES), len(SCALES)]
    names = [json.loads(line)["tile"] for file in tmp_path.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert len(set(names)) == len(read(tmp_path)) == 3 * len(SCALES)


def test_lettering_and_plates_are_drawn_into_some_tiles_the_same_ones_each_time() -> None:
    additions, gray = Additions(Fonts.find()), np.full((SIDE, SIDE, 3), 120, np.uint8)
    changed = []
    for number in range(24):
        drawn = [gray.copy(), gray.copy()]
        for each in drawn:
            additions.draw(each, np.random.default_rng(number))
        assert (drawn[0] == drawn[1]).all()
        changed.append(bool((drawn[0] != gray).any()))
    assert 0 < sum(changed) < len(changed)


def test_a_folder_without_tiles_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gate tiles"):
        read(tmp_path)


def test_the_middle_of_a_sure_box_is_to_be_seen_and_its_surroundings_may_be_either() -> None:
    heat = heat_of(boxes([[64, 64, 128, 128]]), np.float32([0.9]), 0.5, CELLS)
    assert heat[6, 6] == 1
    assert (heat == 1).sum() == 1
    assert heat[5, 5] == heat[6, 5] == -1
    assert heat[2, 2] == heat[9, 9] == 0


@pytest.mark.parametrize(("score", "expected"), [(0.1, {0.0}), (0.32, {0.0, -1.0}), (0.4, {0.0, -1.0, 1.0})])
def test_how_sure_a_box_is_decides_what_is_learned(score: float, expected: set[float]) -> None:
    heat = heat_of(boxes([[100, 100, 160, 140]]), np.float32([score]), 0.5, CELLS)
    assert set(np.unique(heat).tolist()) == expected


def test_a_box_whose_middle_lies_outside_is_not_to_be_seen() -> None:
    heat = heat_of(boxes([[-60, 100, 40, 200]]), np.float32([0.9]), 0.5, CELLS)
    assert not (heat == 1).any()
    assert (heat == -1).any()


def test_a_crop_and_its_boxes_stay_together_however_it_is_cut_and_mirrored() -> None:
    pixels = np.full((SIDE, SIDE, 3), 90, np.uint8)
    pixels[320:336, 240:256] = (0, 0, 255)
    done, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    tile = Tile(jpeg.tobytes(), {"red": (boxes([[240, 320, 256, 336]]), np.float32([0.9]))})
    places = set()
    for crops, heat in islice(batches([tile], {"red": 0.5}, 4, seed=1), 6):
        assert crops.shape == (4, CROP, CROP, 3)
        for crop, cells in zip(crops.astype(int), heat[:, 0], strict=True):
            (y,), (x,) = np.nonzero(cells == 1)
            window = crop[y * STRIDE : (y + 1) * STRIDE, x * STRIDE : (x + 1) * STRIDE]
            assert (window[..., 0] - window[..., 1] > 80).any()
            places.add((x, y))
    assert len(places) > 3
