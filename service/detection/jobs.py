"""Which tiles of a picture go to which detectors, in which batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from service.detection.detector import Detector
from service.imaging.raster import Raster
from service.imaging.sphere import Sphere
from service.imaging.sphere_views import AnyView, plan_sphere_views
from service.imaging.views import View, plan_close_ups, plan_views
from service.policy import Policy


@dataclass(frozen=True, slots=True)
class Job:
    """Views that are cut together and sent to every one of `detectors`, all of their tile size.

    `always`: whatever a gate says. So are those of the coarsest level: what is too large for finer ones is found in
    them or nowhere.
    """

    views: tuple[AnyView, ...]
    detectors: tuple[Detector, ...]
    always: bool


def plan(
    raster: Raster,
    sphere: Sphere | None,
    policy: Policy,
    detectors: Sequence[Detector],
    *,
    overlap: int,
    batch: int | None,
) -> list[Job]:
    """The views of each tile size, in batches that every detector of that size takes, at most `batch` views each.

    Turned views come last, and go to those detectors only that know a class which `policy` looks for in them. Close-ups
    of a flat picture go to those that ask for them.
    """
    by_size: dict[tuple[int, int], list[Detector]] = {}
    for detector in detectors:
        by_size.setdefault((detector.spec.tile_width, detector.spec.tile_height), []).append(detector)
    jobs: list[Job] = []
    for (width, height), of_size in by_size.items():
        tile: dict[str, Any] = {"tile_width": width, "tile_height": height, "overlap": overlap, "effort": policy.effort}
        views: tuple[AnyView, ...] = (
            plan_views(raster.width, raster.height, **tile) if sphere is None else plan_sphere_views(sphere, **tile)
        )
        jobs += _batches([view for view in views if not quarters_of(view)], of_size, batch)
        for detector in of_size if sphere is None else ():
            count = detector.spec.close_ups
            close = plan_close_ups(raster.width, raster.height, tile_width=width, tile_height=height, count=count)
            jobs += [Job((view,), (detector,), always=True) for view in close]
        turning = [each for each in of_size if any(map(policy.turns, each.spec.classes))]
        jobs += _batches([view for view in views if quarters_of(view)], turning, batch)
    return jobs


def _batches(views: Sequence[AnyView], detectors: Sequence[Detector], batch: int | None) -> Iterator[Job]:
    if not detectors or not views:
        return
    size = min(batch or d.max_batch for d in detectors)
    coarsest = min(map(_resolution, views))
    for always in (False, True):
        chosen = [view for view in views if (_resolution(view) == coarsest) == always]
        for i in range(0, len(chosen), size):
            yield Job(tuple(chosen[i : i + size]), tuple(detectors), always)


def _resolution(view: AnyView) -> float:
    """Pixels of the view per pixel of the picture, in its middle."""
    if isinstance(view, View):
        return view.scale
    return view.resolution / view.sphere.resolution


def upright_scales(jobs: Sequence[Job], detectors: Sequence[Detector]) -> dict[int, frozenset[float]]:
    """By place in `detectors`: every scale at which that one searches what is upright."""
    return {
        model: frozenset(
            scale_of(view) for job in jobs if detector in job.detectors for view in job.views if not quarters_of(view)
        )
        for model, detector in enumerate(detectors)
    }


def scale_of(view: AnyView) -> float:
    """Pixels of the view per pixel of the picture; on the sphere, where that differs from place to place, 1."""
    return view.scale if isinstance(view, View) else 1.0


def quarters_of(view: AnyView) -> int:
    """By how many quarters the view is turned; those of a sphere are all upright."""
    return view.quarters if isinstance(view, View) else 0
