"""What can still be seen in a finished picture: detections in it that neither the mask nor the policy accounts for.

Masks often look like faces to a detector: oval, of the color of skin. An ellipse fills π/4 of its own bounds, and less
of a box that the detector drew around its feather, too.
"""

import math

import numpy as np

from service.imaging.detections import Detections
from service.imaging.masking import Mask
from service.imaging.outlines import BoxOutline, Outline, common
from service.imaging.sphere_outlines import on_panorama, placed
from service.policy import Shape

HIDDEN = 0.5
"""Share of a box's pixels from which it is hidden: what was drawn around a mask has 0.6 and more, what was missed has
hardly any."""


def residual(found: Detections, mask: Mask) -> Detections:
    """Those of `found`, in the picture that `mask` was applied to, of which more than half is open to the eye.

    Pixels that the policy excludes are left alone on purpose and count as hidden.
    """
    if found.sphere is None:
        shares = [settled_share(mask, box) for box in found.xyxy.tolist()]
    else:
        shares = [_settled_on_sphere(mask, found, i) for i in range(len(found))]
    return found.take(np.array([share < HIDDEN for share in shares], np.bool_))


def _settled_on_sphere(mask: Mask, found: Detections, index: int) -> float:
    """As `settled_share`, for a box that may be curved or cross the seam."""
    assert found.sphere is not None
    assert found.curved is not None
    x1, y1, x2, y2 = found.xyxy[index].tolist()
    box: Outline = BoxOutline((x1, y1, x2, y2))
    if not np.isnan(found.curved[index, 0]):
        box = on_panorama(found.curved[index], Shape.BOX, found.sphere)
    settled = touched = 0
    for each in placed(box, found.sphere):
        window = common(each.outer, (0, 0, mask.width, mask.height))
        if window[0] < window[2] and window[1] < window[3]:
            of_box = each.alpha(window) == 1
            touched += int(of_box.sum())
            settled += int(((mask.hidden(window) | mask.excluded(window)) & of_box).sum())
    return settled / touched if touched else 1.0


def settled_share(mask: Mask, box: list[float]) -> float:
    """Share of the pixels that `box` (x1, y1, x2, y2) touches which are fully hidden or excluded; 1 if it has none."""
    x1, y1 = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
    x2, y2 = min(math.ceil(box[2]), mask.width), min(math.ceil(box[3]), mask.height)
    if x1 >= x2 or y1 >= y2:
        return 1.0
    window = (x1, y1, x2, y2)
    return float((mask.hidden(window) | mask.excluded(window)).mean())
