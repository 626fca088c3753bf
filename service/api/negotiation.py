"""Which representation an answer takes: the Accept header with its weights (RFC 9110, section 12.5.1)."""

from dataclasses import dataclass
from enum import StrEnum

from service.api.problems import NotAcceptable

MIXED = "multipart/mixed"
JSON = "application/json"
ZIP = "application/zip"


class Representation(StrEnum):
    IMAGE = "image"
    MIXED = "mixed"
    ZIP = "zip"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a request accepts: media ranges with their weights. No range at all accepts everything."""

    ranges: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, header: str | None) -> "Accepted":
        """Ranges of `header`; those that cannot be read are left out, parameters other than the weight are not used."""
        ranges = []
        for item in (header or "").split(","):
            media, *parameters = (part.strip().lower() for part in item.split(";"))
            weight = _weight(parameters)
            if media.count("/") == 1 and weight is not None:
                ranges.append((media, weight))
        if not ranges and not (header or "").strip():
            ranges = [("*/*", 1.0)]
        return cls(tuple(ranges))

    def weight(self, media: str) -> float:
        """The weight of `media`, that of the most specific range that fits; 0 if none does."""
        kind = media.partition("/")[0]
        for wanted in (media, f"{kind}/*", "*/*"):
            weights = [weight for given, weight in self.ranges if given == wanted]
            if weights:
                return max(weights)
        return 0.0

    def representation(self, images: tuple[str, ...]) -> Representation:
        """The picture alone, or with its receipt; `images` are the media types that the picture may have.

        The picture alone wins a tie. Raises NotAcceptable if neither is accepted.
        """
        image = max(self.weight(media) for media in images)
        mixed = self.weight(MIXED)
        if max(image, mixed) <= 0:
            raise NotAcceptable(detail=f"The answer is one of {', '.join((*images, MIXED))}.")
        return Representation.IMAGE if image >= mixed else Representation.MIXED

    def several(self) -> Representation:
        """How several pictures come: as an archive, which wins a tie, or one part each. Raises NotAcceptable."""
        archive, mixed = self.weight(ZIP), self.weight(MIXED)
        if max(archive, mixed) <= 0:
            raise NotAcceptable(detail=f"The answer is one of {ZIP}, {MIXED}.")
        return Representation.ZIP if archive >= mixed else Representation.MIXED

    def require(self, media: str) -> None:
        """Raises NotAcceptable if `media`, the only representation there is, is not accepted."""
        if self.weight(media) <= 0:
            raise NotAcceptable(detail=f"The answer is {media}.")


def _weight(parameters: list[str]) -> float | None:
    """The weight among `parameters`, 1 by default; None if it is not one (section 12.4.2)."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return None
            return weight if 0 <= weight <= 1 else None
    return 1.0
