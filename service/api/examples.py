"""Answers as the OpenAPI document shows them; a test holds them against the schemas."""

from typing import Any

ID = "01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3b"
DETECTIONS: list[dict[str, Any]] = [
    {"class": "face", "score": 0.93, "box": [1204.5, 830.0, 1262.1, 905.4], "model": "face/1", "polygon": None},
    {"class": "plate", "score": 0.88, "box": [2010.0, 1722.3, 2131.8, 1758.9], "model": "plate/5", "polygon": None},
]
TIMINGS = {"upload": 35.2, "queue": 0.1, "inspect": 0.4, "decode": 61.3, "detect": 702.8}

DETECT: dict[str, Any] = {
    "image": {"width": 4000, "height": 3000, "format": "jpeg", "orientation": 1, "projection": "planar"},
    "detections": DETECTIONS,
    "counts": {"face": 1, "plate": 1},
    "receipt": ID,
    "timings_ms": TIMINGS,
}

RECEIPT: dict[str, Any] = {
    "id": ID,
    "received_at": "2026-05-04T08:00:00.120000Z",
    "finished_at": "2026-05-04T08:00:01.330000Z",
    "caller": "3f0c8f1e2a3b9d42",
    "source_ref": "run-7/000123",
    "outcome": "ok",
    "problem": None,
    "input": {"format": "jpeg", "width": 4000, "height": 3000, "bytes": 5120034},
    "output": {
        "format": "jpeg",
        "bytes": 5098120,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "rewrite": "patch",
    },
    "policy": {"classes": [{"name": "face", "threshold": 0.3}], "effort": "balanced"},
    "policy_digest": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    "models": [
        {
            "name": "face",
            "version": "1",
            "sha256": "fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13",
        }
    ],
    "engine": "triton",
    "tiles": 42,
    "counts": {"face": 1, "plate": 1},
    "detections": DETECTIONS,
    "residual": {"count": 0, "outcome": "clean"},
    "timings_ms": TIMINGS,
    "service_version": "0.1.0",
    "detections_digest": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "signature": "eyJhbGciOiJFZERTQSIsImtpZCI6ImtQckt…fQ..hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6d…",
}

AUDIT: dict[str, Any] = {
    "entries": [
        {
            "id": "01938a5c-7b1e-7c3a-9d42-5f0c8f1e2a3c",
            "at": "2026-05-04T09:00:00.120000Z",
            "actor": {"kind": "key", "key_id": "3f0c8f1e2a3b9d42", "key_name": "data protection"},
            "action": "receipt-read",
            "subject": ID,
            "facts": {},
        }
    ],
    "next_cursor": None,
}

MODELS: dict[str, Any] = {
    "models": [
        {
            "name": "face",
            "version": "1",
            "engine": "triton",
            "sha256": "fd61a03af4f77d870fc21e05e7e80678095c92d808cfb3b5c279ee04c74aca13",
            "input": {"width": 640, "height": 640},
            "classes": ["face"],
            "thresholds": {"face": 0.3},
            "license": "MIT",
        }
    ]
}

NOT_READY: dict[str, Any] = {
    "status": "not ready",
    "components": {
        "database": {"status": "ready", "reason": None},
        "face": {"status": "not ready", "reason": "A detector is not available at the moment."},
    },
}
