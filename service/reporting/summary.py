"""The numbers of a report."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.records.receipt import Outcome, Receipt
from service.records.repository import ReceiptRepository
from service.records.retention import Retention
from service.records.reviews import Recall, Sample

PAGE = 500


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about: receipts received at or after `since`, before `until`, with the caller's reference."""

    source_ref: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        return {"source_ref": self.source_ref, "since": self.since, "until": self.until}


@dataclass(slots=True)
class Summary:
    """Counts of requests (by outcome, key, model, policy, engine), of hidden objects (by class) and of problems."""

    requests: int = 0
    first: datetime | None = None
    last: datetime | None = None
    pictures: int = 0
    signed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    callers: Counter[str | None] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    engines: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)

    def take(self, receipt: Receipt) -> None:
        self.requests += 1
        self.first = min(self.first or receipt.received_at, receipt.received_at)
        self.last = max(self.last or receipt.received_at, receipt.received_at)
        self.outcomes[receipt.outcome.value] += 1
        self.callers[receipt.caller] += 1
        self.versions[receipt.service_version] += 1
        if receipt.problem:
            self.problems[receipt.problem] += 1
        if receipt.outcome is not Outcome.OK:
            return
        self.pictures += receipt.output.sha256 is not None
        self.signed += receipt.signature is not None
        self.objects.update(receipt.counts)
        self.models.update((f"{model.name}/{model.version}", model.sha256) for model in receipt.models)
        if receipt.policy_digest:
            self.policies[receipt.policy_digest] += 1
        if receipt.engine:
            self.engines[receipt.engine] += 1


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report shows but the list of receipts. `names`: of keys, by id; `recalls` by sample."""

    scope: Scope
    generated_at: datetime
    summary: Summary
    names: Mapping[str, str]
    retention: Retention
    recalls: Sequence[tuple[Sample, int, Sequence[Recall]]] = ()

    def caller(self, id: str | None) -> str:
        """Who sent a request, in words."""
        if id is None:
            return "without a key"
        return f"{self.names[id]} ({id})" if id in self.names else id

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        summary, scope = self.summary, self.scope
        return {
            "source_ref": scope.source_ref,
            "since": _text(scope.since),
            "until": _text(scope.until),
            "generated_at": _text(self.generated_at),
            "requests": summary.requests,
            "first": _text(summary.first),
            "last": _text(summary.last),
            "pictures": summary.pictures,
            "signed": summary.signed,
            "outcomes": dict(summary.outcomes),
            "problems": dict(summary.problems),
            "callers": [
                {"key": id, "name": None if id is None else self.names.get(id), "requests": count}
                for id, count in summary.callers.most_common()
            ],
            "objects": dict(summary.objects),
            "models": [
                {"model": label, "sha256": digest, "requests": count}
                for (label, digest), count in sorted(summary.models.items())
            ],
            "policies": dict(summary.policies),
            "engines": dict(summary.engines),
            "service_versions": dict(summary.versions),
            "retention_days": {
                "receipts": self.retention.receipts_days,
                "detections": self.retention.detections_days,
                "audit": self.retention.audit_days,
            },
            "quality": [_quality(*each) for each in self.recalls],
        }


async def every(receipts: ReceiptRepository, scope: Scope) -> AsyncIterator[Receipt]:
    """The receipts of `scope`, the newest first, a page of them in memory."""
    cursor: str | None = None
    while True:
        page = await receipts.page(**scope.conditions, cursor=cursor, limit=PAGE)
        for each in page.receipts:
            yield each
        cursor = page.next_cursor
        if cursor is None:
            return


def _quality(sample: Sample, reviewed: int, recalls: Sequence[Recall]) -> dict[str, Any]:
    return {
        "sample": sample.id,
        "since": _text(sample.since),
        "until": _text(sample.until),
        "population": sample.population,
        "drawn": len(sample.receipts),
        "reviewed": reviewed,
        "classes": [
            {
                "class": each.class_name,
                "pictures": each.pictures,
                "seen": each.seen,
                "missed": each.missed,
                "recall": each.recall,
                "recall_bound": each.recall_bound,
                "clean": each.clean,
                "clean_bound": each.clean_bound,
            }
            for each in recalls
        ],
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
