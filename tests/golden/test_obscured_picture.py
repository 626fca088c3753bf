"""What masks look like, as a picture: a change to outlines, cells, noise or smoothing shows here and wants a look.

After an intended change, `python tests/golden/test_obscured_picture.py` writes the picture anew; look at it before it
is committed.
"""

from pathlib import Path

import cv2
import numpy as np

from service.imaging.detections import Detections
from service.imaging.masking import build_mask
from service.imaging.obscuring import obscure
from service.imaging.raster import ColorModel, Raster
from service.policy import Area, ClassPolicy, Obscure, Policy, Shape

GOLDEN = Path(__file__).with_name("obscured_picture.png")
WIDTH, HEIGHT = 480, 360


def scene():
    """A street of gradients, disks for heads and text for plates: (HEIGHT, WIDTH, 3) uint8 RGB."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    picture = np.dstack([90 + 90 * x, 150 - 60 * y, 120 + 80 * (1 - x) * y]).astype(np.uint8)
    for center, radius in (((90, 90), 40), ((130, 110), 30), ((300, 60), 12), ((470, 150), 50)):
        cv2.circle(picture, center, radius, (214, 170, 140), -1, cv2.LINE_AA)
        for side in (-1, 1):
            eye = (center[0] + side * radius // 3, center[1] - radius // 4)
            cv2.circle(picture, eye, max(radius // 8, 1), (30, 30, 40), -1, cv2.LINE_AA)
    for left, top, color in ((60, 220, (235, 235, 235)), (260, 240, (240, 200, 40))):
        cv2.rectangle(picture, (left, top), (left + 130, top + 34), color, -1)
        cv2.putText(picture, "VE 1L 42", (left + 6, top + 26), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2)
    return picture


def rendered():
    """The scene with everything hidden that has to be, each class in its own way."""
    boxes = [(50, 50, 130, 130), (100, 80, 160, 140), (288, 48, 312, 72), (420, 100, 520, 200)]
    plates = [(60, 220, 190, 254), (260, 240, 390, 274)]
    ids = np.repeat(np.arange(2, dtype=np.int32), [len(boxes), len(plates)])
    found = Detections(
        np.array(boxes + plates, np.float32), np.ones(6, np.float32), ids, ids, ("face", "plate"), ("face/1", "plate/1")
    )
    policy = Policy(
        classes=(
            ClassPolicy(name="face", threshold=0.2, margin=0.05, shape=Shape.ELLIPSE),
            ClassPolicy(name="plate", threshold=0.5, margin=0.1, shape=Shape.BOX, obscure=Obscure.PIXELATE),
        ),
        region_obscure=Obscure.FILL,
        regions=(Area(points=((200, 20), (260, 40), (230, 110))),),
        exclude=(Area.from_box(150, 40, 180, 160),),
    )
    raster = Raster(scene(), ColorModel.RGB, alpha=False)
    return obscure(raster, build_mask(found, policy, WIDTH, HEIGHT), b"golden").raster.pixels


def test_the_picture_is_the_one_that_was_looked_at():
    expected = cv2.imread(str(GOLDEN))[:, :, ::-1]
    # Two gray levels: OpenCV's arithmetic differs by one between processors, here and once more in the smoothing.
    assert np.abs(rendered().astype(int) - expected).max() <= 2


if __name__ == "__main__":
    cv2.imwrite(str(GOLDEN), rendered()[:, :, ::-1])
