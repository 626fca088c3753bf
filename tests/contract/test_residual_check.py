"""The search of the finished picture, with the real models: a face that a quick search misses is found by it."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import data

from service.anonymizer import Anonymized
from service.app.veil import Veil, open_veil
from service.errors import ResidualFound
from service.policy import Area, Effort, Policy, Residual, Verify
from service.records.draft import Draft
from service.records.receipt import Outcome, ResidualFacts, ResidualOutcome
from service.settings import Settings
from tests.pictures import FACE

LEFT, TOP, SIDE = 500, 300, 80
THRESHOLD = 0.6
"""The portrait at 80 pixels scores about 0.4 at half its size, where a fast search begins, and 0.8 at double."""


def picture() -> npt.NDArray[np.uint8]:
    """(900, 900, 3) uint8: a small portrait in a gray picture."""
    canvas = np.full((900, 900, 3), 114, np.uint8)
    canvas[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = cv2.resize(
        data.astronaut(), (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
    return canvas


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def face(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    x1, y1, x2, y2 = (round(v * SIDE / 512) for v in FACE)
    return pixels[TOP + y1 : TOP + y2, LEFT + x1 : LEFT + x2]


@pytest.fixture
async def veil(tmp_path: Path) -> AsyncIterator[Veil]:
    """With the same noise in its masks each time: one in many makes the remains of a portrait look like a face."""
    url = f"sqlite:///{tmp_path / 'veil.db'}"
    async with open_veil(Settings.load({"VEIL_DATABASE__URL": url, "VEIL_OBSCURING__SECRET": "a" * 40})) as opened:
        yield opened


def policy(veil: Veil, **values: object) -> Policy:
    """Faces only, at a threshold that a fast search of the small portrait does not reach."""
    only = veil.policy.of("face").model_copy(update={"threshold": THRESHOLD})
    plain = {"classes": (only,), "effort": Effort.FAST, "verify": Verify.REDETECT}
    return veil.policy.model_copy(update=plain | values)


def pixels_of(done: Anonymized) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(done.data)).convert("RGB"))


async def test_what_is_found_in_the_finished_picture_is_hidden_as_well(veil: Veil) -> None:
    before = picture()
    unchecked = await veil.anonymizer.anonymize(png(before), policy(veil, verify=Verify.STRUCTURE), Draft())
    np.testing.assert_array_equal(pixels_of(unchecked), before)
    assert unchecked.receipt.residual is None
    done = await veil.anonymizer.anonymize(png(before), policy(veil), Draft())
    assert done.receipt.residual == ResidualFacts(1, ResidualOutcome.HIDDEN)
    assert done.receipt.counts == {"face": 1}
    assert done.receipt.detections is not None
    assert len(done.receipt.detections) == 1
    assert np.abs(face(pixels_of(done)).astype(int) - face(before)).mean() > 15
    assert done.receipt.timings_ms["redetect"] > 0
    assert await veil.receipts.get(done.receipt.id) == done.receipt


async def test_what_is_accepted_leaves_as_it_is_and_the_receipt_says_so(veil: Veil) -> None:
    before = picture()
    done = await veil.anonymizer.anonymize(png(before), policy(veil, residual=Residual.ACCEPT), Draft())
    assert done.receipt.residual == ResidualFacts(1, ResidualOutcome.ACCEPTED)
    assert done.receipt.counts == {"face": 0}
    np.testing.assert_array_equal(pixels_of(done), before)


async def test_what_is_not_accepted_does_not_leave(veil: Veil) -> None:
    draft = Draft()
    with pytest.raises(ResidualFound):
        await veil.anonymizer.anonymize(png(picture()), policy(veil, residual=Residual.REFUSE), draft)
    receipt = await veil.receipts.get(draft.id)
    assert (receipt.outcome, receipt.problem) == (Outcome.REJECTED, "residual-found")
    assert receipt.residual == ResidualFacts(1, ResidualOutcome.REFUSED)
    assert receipt.output.sha256 is None


@pytest.mark.parametrize(
    "values",
    [
        {"effort": Effort.THOROUGH},
        {"regions": (Area.from_box(LEFT, TOP, LEFT + SIDE, TOP + SIDE),)},
        {"exclude": (Area.from_box(LEFT, TOP, LEFT + SIDE, TOP + SIDE),)},
    ],
    ids=["found at first", "in a region", "excluded"],
)
async def test_what_is_hidden_or_left_alone_on_purpose_is_not_residual(veil: Veil, values: dict[str, object]) -> None:
    refusing = policy(veil, residual=Residual.REFUSE, **values)
    done = await veil.anonymizer.anonymize(png(picture()), refusing, Draft())
    assert done.receipt.residual == ResidualFacts(0, ResidualOutcome.CLEAN)
