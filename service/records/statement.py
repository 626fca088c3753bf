"""The signed part of a receipt: what left, when, through which models and under which policy.

It has no boxes (their digest instead, so that a signature outlives them), no timings and no reference of the caller's,
and no number with a fraction. So the canonical form of RFC 8785 is sorted keys, no spaces, and UTF-8.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from service.records.receipt import DetectionFacts, Receipt

TYPE: Final = "veil-receipt/1"


def statement(receipt: Receipt) -> dict[str, Any]:
    """What a signature of `receipt` is over, as JSON types."""
    return {
        "type": TYPE,
        "id": str(receipt.id),
        "received_at": _moment(receipt.received_at),
        "finished_at": _moment(receipt.finished_at),
        "service_version": receipt.service_version,
        "caller": receipt.caller,
        "outcome": receipt.outcome.value,
        "problem": receipt.problem,
        "input": asdict(receipt.input),
        "output": {**asdict(receipt.output), "rewrite": receipt.output.rewrite.value},
        "policy_digest": receipt.policy_digest,
        "models": [asdict(model) for model in receipt.models],
        "engine": receipt.engine,
        "tiles": receipt.tiles,
        "counts": dict(sorted(receipt.counts.items())),
        "detections_digest": receipt.detections_digest,
        "residual": None
        if receipt.residual is None
        else {"count": receipt.residual.count, "outcome": receipt.residual.outcome.value},
    }


def canonical(value: Any) -> bytes:
    """`value` by RFC 8785. Raises ValueError if there is a number with a fraction in it, or a key that is not ASCII."""
    _require_plain(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def detections_digest(detections: Sequence[DetectionFacts] | None) -> str | None:
    """SHA-256 (hex) of the boxes in their order, with four decimals of the score and one of a pixel."""
    if detections is None:
        return None
    rows = [
        [each.class_name, each.model, f"{each.score:.4f}", *(f"{side:.1f}" for side in each.box)] for each in detections
    ]
    return hashlib.sha256(canonical(rows)).hexdigest()


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _require_plain(value: Any) -> None:
    """RFC 8785 sorts keys by UTF-16 code units and writes numbers as ECMAScript does: both are trivial for these."""
    match value:
        case None | bool() | int() | str():
            return
        case list() | tuple():
            for each in value:
                _require_plain(each)
        case dict():
            for name, each in value.items():
                if not (isinstance(name, str) and name.isascii()):
                    raise ValueError("a key of the signed form is not ASCII text")
                _require_plain(each)
        case _:
            raise ValueError(f"{type(value).__name__} has no place in the signed form")
