"""The way of six cube faces: that of one image, but searched together as one sphere and masked and finished each."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from service.anonymizer import Admit, Anonymizer
from service.errors import InvalidRequest, OptionProblem, TooManyPixels
from service.imaging.arrival import Arrival
from service.imaging.codec import decode
from service.imaging.cubemap import FACES, face_masks, panorama, whole_mask
from service.imaging.detections import Detections
from service.imaging.footprint import cube_footprint
from service.imaging.formats import ImageFormat, output_format
from service.imaging.masking import Mask
from service.imaging.raster import Raster
from service.imaging.source import Source, SourceLimits, inspect
from service.policy import Policy, Projection
from service.records.draft import Draft
from service.records.receipt import InputFacts, OutputFacts, Receipt, Rewrite
from service.residual_search import Finished

MIXED = "mixed"
"""Format of a cube whose faces have several."""

Faces = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class AnonymizedCube:
    """Six finished faces by name, each with its format, and their one committed receipt."""

    faces: dict[str, tuple[bytes, ImageFormat]]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class FinishedCube:
    """Six verified faces; a `residual_search.Releasable`. `mask` is that of the sphere which they show."""

    faces: dict[str, Finished]
    mask: Mask

    def reopened(self, limits: SourceLimits) -> Raster:
        return panorama({name: face.reopened(limits) for name, face in self.faces.items()})

    def facts(self) -> OutputFacts:
        """Sizes add up, and the digest is that of the six files one after the other, in the order of `FACES`."""
        digest = hashlib.sha256()
        for name in FACES:
            digest.update(self.faces[name].data)
        patched = all(each.rewrite is Rewrite.PATCH for each in self.faces.values())
        return OutputFacts(
            _shared_format([each.format for each in self.faces.values()]),
            sum(len(each.data) for each in self.faces.values()),
            digest.hexdigest(),
            Rewrite.PATCH if patched else Rewrite.FULL,
        )


class CubeAnonymizer(Anonymizer):
    """An `Anonymizer` that also takes the six faces of a cube; `imaging.cubemap` says how they lie."""

    async def weigh_cube(self, faces: Faces, policy: Policy, draft: Draft) -> int:
        """As `weigh`, for all six faces together."""
        sources = await self._inspect_cube(faces, _on_sphere(policy), draft)
        return cube_footprint(sources, policy, patching=self._turbojpeg is not None)

    async def anonymize_cube(
        self, faces: Faces, policy: Policy, draft: Draft, admit: Admit | None = None
    ) -> AnonymizedCube:
        """The six `faces` with everything that `policy` names hidden in all of them; with a receipt or not at all.

        What is found is told in pixels of the panorama that `imaging.cubemap.panorama` makes of them. Raises like
        `anonymize`, and InvalidRequest for faces that are not squares of one size.
        """
        async with self.recorded(draft):
            policy = _on_sphere(policy)
            sources = await self._inspect_cube(faces, policy, draft, admit)
            whole = await self._on_cpu(draft, "decode", _sphere, sources)
            found = await self._search(Arrival(whole), policy, draft)
            del whole

            async def hide(everything: Detections) -> FinishedCube:
                return await self._hide_in_faces(sources, everything, policy, draft)

            finished, receipt = await self._released(await hide(found), found, policy, draft, hide)
        return AnonymizedCube({name: (each.data, each.format) for name, each in finished.faces.items()}, receipt)

    async def _inspect_cube(
        self, faces: Faces, policy: Policy, draft: Draft, admit: Admit | None = None
    ) -> dict[str, Source]:
        draft.policy, draft.policy_digest = policy.document(), policy.digest
        total = sum(map(len, faces.values()))
        draft.input = InputFacts(bytes=total)
        sources = {name: await self._on_cpu(draft, "inspect", inspect, faces[name], self._limits) for name in FACES}
        side = sources["front"].width
        draft.input = InputFacts(_shared_format([each.format for each in sources.values()]), 4 * side, 2 * side, total)
        _check(sources, policy, self._limits)
        if admit is not None:
            await admit(len(FACES) * side * side)
        return sources

    async def _hide_in_faces(
        self, sources: Mapping[str, Source], found: Detections, policy: Policy, draft: Draft
    ) -> FinishedCube:
        """One face after the other: the memory of one is free before the next is decoded."""
        side = sources["front"].width
        masks = await self._on_cpu(draft, "mask", face_masks, found, policy, side)
        finished = {}
        for name, source in sources.items():
            arrival = await self._decoded(source, policy, draft)
            finished[name] = await self._finish(source, arrival, masks[name], policy, draft)
        return FinishedCube(finished, await self._on_cpu(draft, "mask", whole_mask, found, policy, side))


def _sphere(sources: Mapping[str, Source]) -> Raster:
    return panorama({name: decode(source) for name, source in sources.items()})


def _on_sphere(policy: Policy) -> Policy:
    """`policy` for a picture of the whole sphere; raises InvalidRequest if it wants another."""
    if policy.projection is Projection.PLANAR:
        raise InvalidRequest([OptionProblem("/projection", "the faces of a cube show a sphere")])
    # Not model_copy, which would take the digest along.
    return Policy.model_validate(policy.model_dump() | {"projection": Projection.EQUIRECTANGULAR})


def _check(sources: Mapping[str, Source], policy: Policy, limits: SourceLimits) -> None:
    """Raises InvalidRequest or TooManyPixels."""
    side = sources["front"].width
    problems = [
        OptionProblem(f"/{name}", f"give square faces of one size; this one is {each.width} x {each.height}")
        for name, each in sources.items()
        if (each.width, each.height) != (side, side)
    ]
    for name in ("regions", "exclude"):
        if getattr(policy, name):
            problems.append(OptionProblem(f"/{name}", "areas cannot be given for the faces of a cube"))
    if problems:
        raise InvalidRequest(problems)
    if 4 * side * 2 * side > limits.max_pixels:
        raise TooManyPixels
    for each in sources.values():
        output_format(each.format, policy.format)  # refused before any work


def _shared_format(formats: list[ImageFormat]) -> str:
    return formats[0].value if len(set(formats)) == 1 else MIXED
