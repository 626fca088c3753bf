"""Terms of API keys: the role review, expiry, quotas with their usage, options.

Columns are only added, so replicas of the version before work on during a rolling upgrade; they do not know the new
terms, and refuse keys of the new role.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BEFORE = "role IN ('anonymize', 'read', 'admin')"
AFTER = "role IN ('anonymize', 'read', 'review', 'admin')"
MOMENT = sa.DateTime(timezone=True)
DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
ADDED = (
    ("expires_at", MOMENT),
    ("quota_requests", sa.Integer()),
    ("quota_megapixels", sa.Integer()),
    ("options", DOCUMENT),
    ("fixed", DOCUMENT),
)


def upgrade() -> None:
    with op.batch_alter_table("api_keys", copy_from=_table(BEFORE)) as table:
        table.drop_constraint(op.f("ck_api_keys_role"), type_="check")
        table.create_check_constraint(op.f("ck_api_keys_role"), sa.text(AFTER))
    for name, kind in ADDED:
        op.add_column("api_keys", sa.Column(name, kind))
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("requests_until", sa.Double(), nullable=False),
        sa.Column("megapixels_until", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_key_usage_key_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_usage")),
    )


def downgrade() -> None:
    """Keys of the role review become readers: they lose a right, nobody gains one."""
    op.drop_table("key_usage")
    for name, _ in reversed(ADDED):
        op.drop_column("api_keys", name)
    op.execute("UPDATE api_keys SET role = 'read' WHERE role = 'review'")
    with op.batch_alter_table("api_keys", copy_from=_table(AFTER)) as table:
        table.drop_constraint(op.f("ck_api_keys_role"), type_="check")
        table.create_check_constraint(op.f("ck_api_keys_role"), sa.text(BEFORE))


def _table(roles: str) -> sa.Table:
    """The table as revision 0001 made it, which SQLite must copy to change a constraint."""
    return sa.Table(
        "api_keys",
        sa.MetaData(),
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.CheckConstraint(roles, name=op.f("ck_api_keys_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )
