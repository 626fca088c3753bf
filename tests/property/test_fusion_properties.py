"""Counts do not depend on the order of tiles, and no two counted objects are duplicates."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.imaging.detections import Detections
from service.imaging.fusion import suppress

COORDINATE = st.integers(0, 60)
BOX = st.tuples(COORDINATE, COORDINATE, st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.integers(0, 1))


def detections(rows):
    table = np.array(rows, np.float32).reshape(-1, 6)
    xyxy = np.hstack([table[:, :2], table[:, :2] + table[:, 2:4]])
    ids = table[:, 5].astype(np.int32)
    return Detections(xyxy, table[:, 4] / 10, ids, np.zeros(len(ids), np.int32), ("face", "plate"), ("m/1",))


def same(a, b):
    return (
        np.array_equal(a.xyxy, b.xyxy) and np.array_equal(a.score, b.score) and np.array_equal(a.class_id, b.class_id)
    )


@given(st.lists(BOX, max_size=25), st.randoms())
def test_order_cannot_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert same(suppress(detections(rows)), suppress(detections(shuffled)))


@given(st.lists(BOX, max_size=25))
def test_what_is_kept_is_some_of_what_was_found_and_free_of_duplicates(rows):
    found = detections(rows)
    kept = suppress(found)
    everything = {tuple(b) for b in np.column_stack([found.xyxy, found.score, found.class_id]).tolist()}
    assert {tuple(b) for b in np.column_stack([kept.xyxy, kept.score, kept.class_id]).tolist()} <= everything
    assert same(kept, kept.sorted())
    assert set(kept.class_id.tolist()) == set(found.class_id.tolist())
    for i in range(len(kept)):
        for j in range(i):
            if kept.class_id[i] == kept.class_id[j]:
                low = np.maximum(kept.xyxy[i, :2], kept.xyxy[j, :2])
                high = np.minimum(kept.xyxy[i, 2:], kept.xyxy[j, 2:])
                common = float(np.prod(np.maximum(high - low, 0)))
                areas = [float(np.prod(kept.xyxy[k, 2:] - kept.xyxy[k, :2])) for k in (i, j)]
                assert common == 0 or common < 0.45 * (sum(areas) - common)
                assert common == 0 or common < 0.75 * min(areas)
