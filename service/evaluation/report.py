"""What an evaluation says, as JSON: what was measured with, the figures, and what they were made of picture by picture.

It holds no pixels and no file names: pictures and objects are named by the ids of the annotations.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from service.evaluation.bootstrap import Estimate
from service.evaluation.dataset import Box, DatasetError

Group = Literal["all", "height", "subset"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectResult(Part):
    """One annotated object. `up_to`, `strict_up_to`: the highest threshold at which it is hidden, 0 if at none."""

    class_name: str
    box: Box
    coverage: float
    up_to: float
    strict_up_to: float

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


class CountResult(Part):
    """Counted boxes of one class in one picture: at the policy's threshold, and false ones at each of the curve's."""

    class_name: str
    true: int
    false: int
    curve: tuple[int, ...]


class PictureResult(Part):
    """One picture; `counts` are there for the classes of which every object is annotated."""

    id: str
    subset: str
    objects: tuple[ObjectResult, ...]
    counts: tuple[CountResult, ...]

    @property
    def negative(self) -> bool:
        """Whether nothing is annotated in it."""
        return not self.objects


class Failure(Part):
    id: str
    problem: str


class ModelUsed(Part):
    label: str
    sha256: str


class ClassUsed(Part):
    name: str
    threshold: float
    margin: float


class Setup(Part):
    """What was measured with: all that a second measurement needs to be the same."""

    veil: str
    engine: str
    effort: str
    policy_digest: str
    models: tuple[ModelUsed, ...]
    classes: tuple[ClassUsed, ...]
    dataset: str
    dataset_digest: str
    every: int
    subsets: tuple[str, ...]


class RecallRow(Part):
    """How many objects of a group are hidden. `strict`: by the stricter share."""

    class_name: str
    group: Group
    name: str
    objects: int
    pictures: int
    hidden: Estimate
    strict: Estimate


class FalseRow(Part):
    """False boxes, in pictures where every object of the class is annotated; `negatives`: in those without any."""

    class_name: str
    pictures: int
    negatives: int
    precision: Estimate | None
    per_picture: Estimate
    per_negative: Estimate | None


class CurvePoint(Part):
    """What another threshold would give; false boxes are per picture, None where no picture lists every object."""

    class_name: str
    threshold: float
    hidden: float | None
    strict: float | None
    per_picture: float | None
    per_negative: float | None


class Report(Part):
    format: Literal[1] = 1
    setup: Setup
    megapixels: float
    seconds: float
    failures: tuple[Failure, ...]
    recall: tuple[RecallRow, ...]
    false: tuple[FalseRow, ...]
    curve: tuple[CurvePoint, ...]
    pictures: tuple[PictureResult, ...]


def read_report(path: Path) -> Report:
    """The report in `path`. Raises DatasetError if it cannot be read or is none."""
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise DatasetError(f"{path}: not a report of this version of 'veil evaluate'") from error
