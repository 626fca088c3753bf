"""Receipts and API keys.

Written out, not taken from `records.tables`: what a revision did stays what it did.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    document = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("received_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=False),
        sa.Column("caller", sa.String(64)),
        sa.Column("source_ref", sa.String(200)),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("problem", sa.String(64)),
        sa.Column("input_format", sa.String(16)),
        sa.Column("input_width", sa.Integer()),
        sa.Column("input_height", sa.Integer()),
        sa.Column("input_bytes", sa.BigInteger()),
        sa.Column("output_format", sa.String(16)),
        sa.Column("output_bytes", sa.BigInteger()),
        sa.Column("output_sha256", sa.String(64)),
        sa.Column("output_rewrite", sa.String(16), nullable=False),
        sa.Column("policy", document),
        sa.Column("policy_digest", sa.String(64)),
        sa.Column("models", document, nullable=False),
        sa.Column("engine", sa.String(32)),
        sa.Column("tiles", sa.Integer(), nullable=False),
        sa.Column("counts", document, nullable=False),
        sa.Column("detections", document),
        sa.Column("timings_ms", document, nullable=False),
        sa.Column("service_version", sa.String(32), nullable=False),
        sa.CheckConstraint("outcome IN ('ok', 'rejected', 'failed')", name=op.f("ck_receipts_outcome")),
        sa.CheckConstraint("output_rewrite IN ('patch', 'full', 'none')", name=op.f("ck_receipts_output_rewrite")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    op.create_index(op.f("ix_receipts_received_at_id"), "receipts", ["received_at", "id"])
    op.create_index(op.f("ix_receipts_caller_received_at"), "receipts", ["caller", "received_at"])
    op.create_index(op.f("ix_receipts_source_ref"), "receipts", ["source_ref"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("revoked_at", moment),
        sa.CheckConstraint("role IN ('anonymize', 'read', 'admin')", name=op.f("ck_api_keys_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_table("receipts")
