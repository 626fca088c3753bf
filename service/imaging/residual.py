"""What can still be seen in a finished picture: detections in it that neither the mask nor the policy accounts for.

Masks often look like faces to a detector: oval, of the color of skin. An ellipse fills π/4 of its own bounds, and less
of a box that the detector drew around its feather, too.
"""

import math

import numpy as np

from service.imaging.detections import Detections
from service.imaging.masking import Mask

HIDDEN = 0.5
"""Share of a box's pixels from which it is hidden: what was drawn around a mask has 0.6 and more, what was missed has
hardly any."""


def residual(found: Detections, mask: Mask) -> Detections:
    """Those of `found`, in the picture that `mask` was applied to, of which more than half is open to the eye.

    Pixels that the policy excludes are left alone on purpose and count as hidden.
    """
    seen = [settled_share(mask, box) < HIDDEN for box in found.xyxy.tolist()]
    return found.take(np.array(seen, np.bool_))


def settled_share(mask: Mask, box: list[float]) -> float:
    """Share of the pixels that `box` (x1, y1, x2, y2) touches which are fully hidden or excluded; 1 if it has none."""
    x1, y1 = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
    x2, y2 = min(math.ceil(box[2]), mask.width), min(math.ceil(box[3]), mask.height)
    if x1 >= x2 or y1 >= y2:
        return 1.0
    window = (x1, y1, x2, y2)
    return float((mask.hidden(window) | mask.excluded(window)).mean())
