"""A receipt while its request is under way: filled stage by stage, finished once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from service import __version__
from service.records.receipt import DetectionFacts, InputFacts, ModelFacts, Outcome, OutputFacts, Receipt, ResidualFacts
from service.records.statement import detections_digest


@dataclass(slots=True)
class Draft:
    """What is known so far. `caller` is the key's id, `source_ref` the caller's own opaque reference.

    `found` is for the answer, `detections` for the receipt. `committed` is set once the receipt is stored, whatever
    its outcome.
    """

    caller: str | None = None
    source_ref: str | None = None
    id: UUID = field(default_factory=uuid7)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    input: InputFacts = field(default_factory=InputFacts)
    output: OutputFacts = field(default_factory=OutputFacts)
    policy: dict[str, Any] | None = None
    policy_digest: str | None = None
    models: tuple[ModelFacts, ...] = ()
    engine: str | None = None
    tiles: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    found: tuple[DetectionFacts, ...] = ()
    detections: tuple[DetectionFacts, ...] | None = None
    residual: ResidualFacts | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    committed: bool = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what runs inside as stage `name`, also when it fails; a stage entered twice adds up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - started) * 1000
            self.timings_ms[name] = round(self.timings_ms.get(name, 0.0) + spent, 3)

    def finish(self, outcome: Outcome, problem: str | None = None) -> Receipt:
        """The receipt as of now."""
        return Receipt(
            id=self.id,
            received_at=self.received_at,
            finished_at=datetime.now(UTC),
            outcome=outcome,
            service_version=__version__,
            caller=self.caller,
            source_ref=self.source_ref,
            problem=problem,
            input=self.input,
            output=self.output if outcome is Outcome.OK else OutputFacts(),
            policy=self.policy,
            policy_digest=self.policy_digest,
            models=self.models,
            engine=self.engine,
            tiles=self.tiles,
            counts=dict(self.counts),
            detections=self.detections,
            residual=self.residual,
            timings_ms=dict(self.timings_ms),
            detections_digest=detections_digest(self.detections),
        )
