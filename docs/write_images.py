"""Makes the pictures of the docs with the real pipeline, from a public-domain photograph: `make docs`."""

import asyncio
import tempfile
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from service.app.veil import open_veil
from service.records.draft import Draft
from service.settings import Settings

FOLDER = Path(__file__).parent / "images"


async def before_after() -> None:
    """NASA's portrait of Eileen Collins, as it came and as it left."""
    before = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.load(
            {
                "VEIL_DATABASE__URL": f"sqlite:///{folder}/veil.db",
                "VEIL_OBSCURING__SECRET": "the same picture each time",
            }
        )
        async with open_veil(settings) as veil:
            upload = cv2.imencode(".png", before)[1].tobytes()
            done = await veil.anonymizer.anonymize(upload, veil.policy, Draft())
    after = cv2.imdecode(np.frombuffer(done.data, np.uint8), cv2.IMREAD_COLOR)
    gap = np.full((before.shape[0], 8, 3), 255, np.uint8)
    FOLDER.mkdir(exist_ok=True)
    cv2.imwrite(str(FOLDER / "before-after.jpg"), np.hstack([before, gap, after]), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    asyncio.run(before_after())
