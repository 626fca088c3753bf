"""Which models there are: `model_repository/<name>/model.json`, read once and checked against the files.

That entry names the version that is wanted. Other versions that may answer while a server is changed over, or after it
was changed back, have an entry of their own, `<name>/<version>/model.json`.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.policy import Agreement, ClassPolicy, Shape


class ModelError(Exception):
    """A model could not be made, or is not the one of the catalog; the message says which and why."""


class ForProcessors(StrEnum):
    """Files of a model for processors, made of its own: in 8 bits, and in single precision."""

    INT8 = "int8"
    FP32 = "fp32"

    @property
    def words(self) -> str:
        """What is said behind a model's label."""
        return "in 8 bits" if self is ForProcessors.INT8 else "for processors"


ANY_SIDES = ("rows", "columns")
"""Names of a tile's height and width in a file that takes tiles of any size."""

Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelSpec(BaseModel):
    """A model as the catalog describes it: the contract's free parameters and the file's checksum.

    `threshold`, `margin`, `shape` and `agreement` are the recommended policy of each of its classes.

    `close_ups`: levels, each half as large as the one before, on which it also looks for what fills a picture: so many
    after the first that fits a tile. For detectors that know objects up to half a tile or so only.

    `int8`, `fp32`: checksums of its files for processors, `service.models.eight_bits` and
    `service.models.any_size`, if there are any.

    `gates`: labels of the detectors before which this model stands, see `service.detection.gate`; it detects nothing
    itself then. Empty for a detector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    version: Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    tile_height: Annotated[int, Field(ge=32, multiple_of=32)]
    tile_width: Annotated[int, Field(ge=32, multiple_of=32)]
    max_detections: Annotated[int, Field(ge=1, le=512)]
    max_batch: Annotated[int, Field(ge=1, le=64)] = 8
    sha256: Checksum
    int8: Checksum | None = None
    fp32: Checksum | None = None
    license: str
    threshold: float
    margin: float
    shape: Shape
    agreement: Agreement | None = None
    close_ups: Annotated[int, Field(ge=0, le=4)] = 0
    gates: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _close_ups_divide_the_tile(self) -> Self:
        if self.tile_width % (32 << self.close_ups) or self.tile_height % (32 << self.close_ups):
            raise ValueError("the tile's sides, halved for each of close_ups, must be multiples of 32")
        return self

    @property
    def label(self) -> str:
        """`name/version`, as detections carry it."""
        return f"{self.name}/{self.version}"

    def class_policies(self) -> tuple[ClassPolicy, ...]:
        """The recommended policy of each of its classes."""
        return tuple(
            ClassPolicy(
                name=name, threshold=self.threshold, margin=self.margin, shape=self.shape, agreement=self.agreement
            )
            for name in self.classes
        )


ENTRY = "model.json"
OWN = frozenset({"version", "sha256", *ForProcessors, "license"})
"""What may differ between accepted versions of a model: anything else is another policy, or another tile."""


class Catalog:
    """The models of one repository folder, by name: `specs` are the wanted versions, `others` are accepted as well.

    These are detectors. `gate` is the model before them, if there is one. `files`: by label, of which models a file for
    processors is meant, and which.
    """

    def __init__(
        self,
        root: Path,
        specs: Sequence[ModelSpec],
        others: Sequence[ModelSpec] = (),
        gate: ModelSpec | None = None,
        files: Mapping[str, ForProcessors] | None = None,
    ) -> None:
        self.root = root
        self.gate = gate
        self.files = {} if files is None else files
        self.specs = tuple(sorted(specs, key=lambda s: s.name))
        self.others = tuple(sorted(others, key=lambda s: (s.name, -int(s.version))))

    @classmethod
    def read(cls, root: Path) -> "Catalog":
        """Every `<root>/<name>/model.json`. Raises ValueError, naming the file, if one is missing, wrong or doubled."""
        specs: list[ModelSpec] = []
        others: list[ModelSpec] = []
        gate: ModelSpec | None = None
        for path in sorted(root.glob(f"*/{ENTRY}")):
            spec = _read(path)
            if spec.name != path.parent.name:
                raise ValueError(f"{path}: the name is {spec.name!r}, the folder says {path.parent.name!r}")
            if spec.gates:
                if gate is not None:
                    raise ValueError(f"{path}: there is a gate already, {gate.label}")
                gate = spec
                continue
            specs.append(spec)
            for each in sorted(path.parent.glob(f"*/{ENTRY}")):
                other = _read(each)
                if other.version != each.parent.name:
                    raise ValueError(f"{each}: the version is {other.version}, the folder says {each.parent.name!r}")
                if other.version == spec.version:
                    raise ValueError(f"{each}: {path} describes this version already")
                if other.model_dump(exclude=set(OWN)) != spec.model_dump(exclude=set(OWN)):
                    raise ValueError(f"{each}: accepted beside {path}, so only {', '.join(sorted(OWN))} may differ")
                others.append(other)
        if not specs:
            raise ValueError(f"{root}: no {ENTRY} in any folder; run 'veil models build'")
        return cls(root, specs, others, gate)

    @property
    def wanted(self) -> tuple[ModelSpec, ...]:
        """What is to answer: the wanted version of each detector, and the gate."""
        return self.specs if self.gate is None else (*self.specs, self.gate)

    @property
    def every(self) -> tuple[ModelSpec, ...]:
        """Every model that has a file."""
        return (*self.wanted, *self.others)

    def for_processors(self, *kinds: ForProcessors) -> "Catalog":
        """The same models, each by the first of `kinds` that it has: with that file, its checksum, its golden answers.

        Those that have none are meant as they are.
        """
        files = {spec.label: kind for spec in self.every for kind in reversed(kinds) if getattr(spec, kind) is not None}

        def meant(spec: ModelSpec) -> ModelSpec:
            kind = files.get(spec.label)
            return spec if kind is None else spec.model_copy(update={"sha256": getattr(spec, kind)})

        return Catalog(
            self.root,
            [meant(each) for each in self.specs],
            [meant(each) for each in self.others],
            None if self.gate is None else meant(self.gate),
            files,
        )

    def versions(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        """Every accepted version of the model that `spec` is one of: the wanted one first, then the newest first."""
        return tuple(each for each in self.every if each.name == spec.name)

    def entry(self, spec: ModelSpec) -> Path:
        """The catalog entry of `spec`."""
        folder = self.root / spec.name
        return folder / spec.version / ENTRY if spec in self.others else folder / ENTRY

    def file(self, spec: ModelSpec) -> Path:
        """The ONNX file of `spec`."""
        return self.root / spec.name / spec.version / f"model{self._kind(spec)}.onnx"

    def golden(self, spec: ModelSpec) -> Path:
        """What `spec` must answer for known pictures: beside its catalog entry."""
        return self.entry(spec).with_name(f"golden{self._kind(spec)}.json")

    def _kind(self, spec: ModelSpec) -> str:
        kind = self.files.get(spec.label)
        return "" if kind is None else f".{kind}"


def _read(path: Path) -> ModelSpec:
    try:
        return ModelSpec.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
