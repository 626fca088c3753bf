"""Audit, retention, signatures and reviews, and the triggers that keep what is recorded from being changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from service.records.migrations import guards_0003

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    document = sa.JSON().with_variant(JSONB(), "postgresql")
    op.add_column("receipts", sa.Column("detections_digest", sa.String(64)))
    op.add_column("receipts", sa.Column("signature", sa.String(400)))
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("actor", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(64)),
        sa.Column("key_name", sa.String(100)),
        sa.Column("action", sa.String(48), nullable=False),
        sa.Column("subject", sa.String(64)),
        sa.Column("facts", document, nullable=False),
        sa.CheckConstraint("actor IN ('key', 'anybody', 'command line', 'service')", name=op.f("ck_audit_actor")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at_id"), "audit", ["at", "id"])
    op.create_index(op.f("ix_audit_action_at"), "audit", ["action", "at"])
    op.create_table(
        "retention",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("receipts_days", sa.Integer()),
        sa.Column("detections_days", sa.Integer()),
        sa.Column("audit_days", sa.Integer()),
        sa.Column("changed_at", moment, nullable=False),
        sa.Column("changed_by", sa.String(16), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_retention_one_row")),
        sa.CheckConstraint("receipts_days >= 1", name=op.f("ck_retention_receipts_days")),
        sa.CheckConstraint("detections_days >= 1", name=op.f("ck_retention_detections_days")),
        sa.CheckConstraint("audit_days >= 30", name=op.f("ck_retention_audit_days")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention")),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.String(64), nullable=False),
        sa.Column("public", sa.String(64), nullable=False),
        sa.Column("registered_at", moment, nullable=False),
        sa.Column("revoked_at", moment),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "samples",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("seed", sa.String(64), nullable=False),
        sa.Column("population", sa.Integer(), nullable=False),
        sa.Column("receipts", document, nullable=False),
        sa.Column("drawn_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
    )
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sample_id", sa.String(16), nullable=False),
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("class_name", sa.String(32), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.String(64)),
        sa.Column("at", moment, nullable=False),
        sa.CheckConstraint("missed >= 0 AND missed <= seen", name=op.f("ck_verdicts_missed")),
        sa.ForeignKeyConstraint(["sample_id"], ["samples.id"], name=op.f("fk_verdicts_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
    )
    op.create_index(
        op.f("ix_verdicts_sample_id_receipt_id_class_name"), "verdicts", ["sample_id", "receipt_id", "class_name"]
    )
    for statement in guards_0003.statements(op.get_bind()):
        op.execute(statement)


def downgrade() -> None:
    for statement in guards_0003.removal(op.get_bind()):
        op.execute(statement)
    for table in ("verdicts", "samples", "signing_keys", "retention", "audit"):
        op.drop_table(table)
    op.drop_column("receipts", "signature")
    op.drop_column("receipts", "detections_digest")
