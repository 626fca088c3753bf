"""Boxes on frames that touch the sphere: what a perspective view finds, and where that lies in a panorama.

A curved box is six numbers: the longitude and latitude that its frame looks at, in radians, and u1, v1, u2, v2 in that
frame. In the panorama it is a shape with curved edges, which may cross the seam or hold a pole.
"""

import math

import numpy as np

from service.imaging.sphere import NEAREST, Float64, Sphere, axes, into_frame, out_of_frame

PER_SIDE = 8
"""Points per side of an outline: over 60° of a frame the chords between them stray from the edge by less than 0.3 %."""

AROUND_POLE = 24
"""Points per side of an outline that holds a pole: there its curve bends more in the panorama."""

POLES = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])


def edges(curved: Float64, per_side: int = PER_SIDE) -> Float64:
    """The directions around `curved` (n, 6), clockwise: (n, 4 · per_side, 3)."""
    u1, v1, u2, v2 = curved[:, None, 2:].transpose(2, 0, 1)
    steps = np.arange(per_side) / per_side
    across, back = u1 + (u2 - u1) * steps, u2 + (u1 - u2) * steps
    down, up = v1 + (v2 - v1) * steps, v2 + (v1 - v2) * steps
    same = np.ones(per_side)
    u = np.concatenate([across, u2 * same, back, u1 * same], axis=1)
    v = np.concatenate([v1 * same, down, v2 * same, up], axis=1)
    frames = axes(curved[:, 0], curved[:, 1])[:, None]
    return out_of_frame(np.stack([u, v], axis=-1), frames)


def unrolled(directions: Float64, sphere: Sphere) -> Float64:
    """The closed curve (k, 3) in panorama pixels (k, 2), x going on beyond the seam and beginning within the turn."""
    points = sphere.pixels(directions)
    points[:, 0] = np.unwrap(points[:, 0], period=sphere.full_width)
    return points


def polygon(curved: Float64, sphere: Sphere) -> Float64:
    """The outline of one curved box (6,) in panorama pixels (k, 2): clockwise, x may lie beyond the picture's edges.

    Around a pole it is the curve over a whole turn, closed along the top or bottom of the sphere.
    """
    pole = pole_within(curved[None])[0]
    points = unrolled(edges(curved[None], PER_SIDE if pole == 0 else AROUND_POLE)[0], sphere)
    if pole == 0:
        return points
    x, y = points.T
    turn = np.concatenate([x, x[:1] + math.copysign(sphere.full_width, x[-1] - x[0])])
    order = np.argsort(turn)
    curve = np.stack([turn[order], np.concatenate([y, y[:1]])[order]], axis=1)
    end = sphere.row(math.copysign(math.pi / 2, pole))
    closed = np.vstack([curve, [curve[-1, 0], end], [curve[0, 0], end]])
    return closed if pole < 0 else closed[::-1]


def pole_within(curved: Float64) -> Float64:
    """Of each of `curved` (n, 6): 1 if the upper pole lies in it, -1 for the lower one, 0 for none."""
    found = np.zeros(len(curved))
    frames = axes(curved[:, 0], curved[:, 1])
    for direction, sign in zip(POLES, (1, -1), strict=True):
        seen = frames @ direction
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            u, v = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
        u1, v1, u2, v2 = curved[:, 2:].T
        found[(seen[:, 2] > NEAREST) & (u >= u1) & (u <= u2) & (v >= v1) & (v <= v2)] = sign
    return found


def bounds(curved: Float64, sphere: Sphere) -> Float64:
    """Upright boxes around `curved` (n, 6) in panorama pixels (n, 4); `begun` there: x1 lies in the turn.

    A box around a pole is as wide as the turn.
    """
    boxes = np.empty((len(curved), 4))
    poles = pole_within(curved)
    for i, (directions, pole) in enumerate(zip(edges(curved), poles, strict=True)):
        points = unrolled(directions, sphere)
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        if pole:
            x1, x2 = -sphere.left, sphere.full_width - sphere.left
            end = sphere.row(math.copysign(math.pi / 2, pole))
            y1, y2 = min(y1, end), max(y2, end)
        boxes[i] = x1, y1, x2, y2
    return begun(boxes, sphere)


def begun(boxes: Float64, sphere: Sphere) -> Float64:
    """`boxes` (n, 4) in panorama pixels moved by whole turns so that each begins in the picture, where it meets it.

    x2 may lie beyond the right edge: there the box goes on at the left one.
    """
    turn = sphere.full_width
    moved = boxes.copy()
    shift = np.floor(moved[:, 0] / turn) * turn
    moved[:, 0] -= shift
    moved[:, 2] = np.minimum(moved[:, 2] - shift, moved[:, 0] + turn)
    # In a part of a panorama: what begins after its right edge and reaches its left one over the rest of the turn.
    late = (moved[:, 0] >= sphere.width) & (moved[:, 2] > turn)
    moved[late, 0] -= turn
    moved[late, 2] -= turn
    return moved


def flat_as_curved(boxes: Float64, sphere: Sphere) -> Float64:
    """Panorama boxes (n, 4) as curved boxes (n, 6) around their middles, each holding all of its box."""
    if len(boxes) == 0:
        return np.zeros((0, 6))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    longitude = (middle[:, 0] + sphere.left) * (2 * math.pi / sphere.full_width) - math.pi
    latitude = math.pi / 2 - (middle[:, 1] + sphere.top) * (math.pi / sphere.full_height)
    curved = np.empty((len(boxes), 6))
    curved[:, 0], curved[:, 1] = longitude, latitude
    steps = np.linspace(0, 1, PER_SIDE + 1)
    for i, frame in enumerate(axes(longitude, latitude)):
        x1, y1, x2, y2 = boxes[i]
        xs, ys = x1 + (x2 - x1) * steps, y1 + (y2 - y1) * steps
        around = [np.stack([xs, np.full_like(xs, y)], axis=1) for y in (y1, y2)]
        around += [np.stack([np.full_like(ys, x), ys], axis=1) for x in (x1, x2)]
        uv = into_frame(sphere.directions(np.concatenate(around)), frame)
        if np.isnan(uv).any():  # wider than a frame can hold
            uv = np.array([[-1.0, -1.0], [1.0, 1.0]]) / NEAREST
        curved[i, 2:4], curved[i, 4:] = uv.min(axis=0), uv.max(axis=0)
    return curved


def middles(curved: Float64) -> Float64:
    """The unit directions (n, 3) of the middles of `curved` (n, 6)."""
    frames = axes(curved[:, 0], curved[:, 1])
    middle = out_of_frame((curved[:, 2:4] + curved[:, 4:]) / 2, frames)
    return np.asarray(middle / np.linalg.norm(middle, axis=-1, keepdims=True))
