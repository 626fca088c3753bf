"""The tables, and the two column types that make SQLite and PostgreSQL give back exactly what was stored."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with microseconds: `timestamptz` on PostgreSQL, UTC text on SQLite (which sorts like the moments).

    Takes aware datetimes only (ValueError otherwise) and gives them back in UTC.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone names no moment")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def json_type() -> JSON:
    """JSONB on PostgreSQL, text on SQLite. None is SQL NULL, so it stays apart from empty values."""
    return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


receipts = Table(
    "receipts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("caller", String(64)),
    Column("source_ref", String(200)),
    Column("outcome", String(16), nullable=False),
    Column("problem", String(64)),
    Column("input_format", String(16)),
    Column("input_width", Integer),
    Column("input_height", Integer),
    Column("input_bytes", BigInteger),
    Column("output_format", String(16)),
    Column("output_bytes", BigInteger),
    Column("output_sha256", String(64)),
    Column("output_rewrite", String(16), nullable=False),
    Column("policy", json_type()),
    Column("policy_digest", String(64)),
    Column("models", json_type(), nullable=False),
    Column("engine", String(32)),
    Column("tiles", Integer, nullable=False),
    Column("counts", json_type(), nullable=False),
    Column("detections", json_type()),
    Column("residual", json_type()),
    Column("timings_ms", json_type(), nullable=False),
    Column("service_version", String(32), nullable=False),
    Column("detections_digest", String(64)),
    Column("signature", String(400)),
    CheckConstraint("outcome IN ('ok', 'rejected', 'failed')", name="outcome"),
    CheckConstraint("output_rewrite IN ('patch', 'full', 'none')", name="output_rewrite"),
    # The order of the pages, newest first when read backwards; alone and within one caller.
    Index(None, "received_at", "id"),
    Index(None, "caller", "received_at"),
    Index(None, "source_ref"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("quota_requests", Integer),
    Column("quota_megapixels", Integer),
    Column("options", json_type()),
    Column("fixed", json_type()),
    CheckConstraint("role IN ('anonymize', 'read', 'review', 'admin')", name="role"),
)

# How much of its quotas each key has used: the moment, in seconds since 1970, at which all of it is restored.
key_usage = Table(
    "key_usage",
    metadata,
    Column("key_id", String(16), ForeignKey("api_keys.id"), primary_key=True),
    Column("requests_until", Double, nullable=False),
    Column("megapixels_until", Double, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(16), nullable=False),
    Column("key_id", String(64)),
    Column("key_name", String(100)),
    Column("action", String(48), nullable=False),
    Column("subject", String(64)),
    Column("facts", json_type(), nullable=False),
    CheckConstraint("actor IN ('key', 'anybody', 'command line', 'service')", name="actor"),
    Index(None, "at", "id"),
    Index(None, "action", "at"),
)

retention = Table(
    "retention",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("receipts_days", Integer),
    Column("detections_days", Integer),
    Column("audit_days", Integer),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(16), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    CheckConstraint("receipts_days >= 1", name="receipts_days"),
    CheckConstraint("detections_days >= 1", name="detections_days"),
    CheckConstraint("audit_days >= 30", name="audit_days"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("public", String(64), nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

samples = Table(
    "samples",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    Column("size", Integer, nullable=False),
    Column("seed", String(64), nullable=False),
    Column("population", Integer, nullable=False),
    Column("receipts", json_type(), nullable=False),
    Column("drawn_at", UtcDateTime, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("sample_id", String(16), ForeignKey("samples.id"), nullable=False),
    Column("receipt_id", Uuid, nullable=False),
    Column("class_name", String(32), nullable=False),
    Column("seen", Integer, nullable=False),
    Column("missed", Integer, nullable=False),
    Column("reviewer", String(64)),
    Column("at", UtcDateTime, nullable=False),
    CheckConstraint("missed >= 0 AND missed <= seen", name="missed"),
    Index(None, "sample_id", "receipt_id", "class_name"),
)
