"""The triggers of revision 0003: what is recorded stays, except for what the stated retention or an erasure takes.

The rules look at the rows themselves, not at a flag that a session could set, so they also hold for the service's own
database role:

- audit: nothing is changed; a row is removed only when it is older than the stated retention.
- retention: whatever changes it, the database itself writes the audit row.
- receipts: removed only when older than the stated retention, or together with the audit row of an erasure (on
  PostgreSQL: of the same transaction; on SQLite, which cannot tell: of the last minute). The boxes may be taken away
  when they are older than their retention; nothing else is changed.
- signing keys, samples, verdicts: not changed or removed, but a key may be revoked, once.

A later migration that makes SQLite copy one of these tables must create its triggers again.
"""
# ruff: noqa: S608 - the texts are put together from constants

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

GUARDED: Final = ("audit", "receipts", "retention", "signing_keys", "samples", "verdicts")
ERASURE: Final = "receipts-erased"


def statements(connection: Connection) -> Iterator[str]:
    """What creates the triggers."""
    if connection.dialect.name == "postgresql":
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        yield from _postgresql(str(schema))
    else:
        yield from SQLITE


def removal(connection: Connection) -> Iterator[str]:
    """What drops them; on SQLite those of dropped tables go by themselves."""
    if connection.dialect.name == "postgresql":
        for table in GUARDED:
            yield f"DROP TRIGGER veil_guard ON {table}"
            yield f"DROP TRIGGER veil_guard_truncate ON {table}"
            yield f"DROP FUNCTION veil_guard_{table}()"
        yield "DROP TRIGGER veil_guard_delete ON receipts"
        yield "DROP FUNCTION veil_guard_receipts_delete()"
        yield "DROP TRIGGER veil_audit ON retention"
        yield "DROP FUNCTION veil_audit_retention()"
        yield "DROP FUNCTION veil_guard_truncate()"
        return
    yield "DROP TRIGGER veil_receipts_update"
    yield "DROP TRIGGER veil_receipts_delete"


def _postgresql(schema: str) -> Iterator[str]:
    # The path is fixed, and a session's temporary tables come last: it cannot put a table of its own in the way.
    head = f"RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS"

    def refuse(text: str) -> str:
        return f"RAISE EXCEPTION '{text}' USING ERRCODE = 'integrity_constraint_violation';"

    bodies = {
        "audit": f"""
            IF TG_OP = 'DELETE' AND OLD.at < now() - (SELECT make_interval(days => audit_days) FROM retention) THEN
                RETURN OLD;
            END IF;
            {refuse("the audit is append-only")}""",
        "receipts": f"""
            IF NEW.detections IS NULL AND to_jsonb(NEW) - 'detections' = to_jsonb(OLD) - 'detections'
                AND OLD.received_at < now() - (SELECT make_interval(days => detections_days) FROM retention)
            THEN
                RETURN NEW;
            END IF;
            {refuse("receipts are not changed")}""",
        "retention": f"""
            IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
            {refuse("the retention is stated, not removed")}""",
        "signing_keys": f"""
            IF TG_OP = 'UPDATE' AND OLD.revoked_at IS NULL
                AND (NEW.kid, NEW.public, NEW.registered_at) = (OLD.kid, OLD.public, OLD.registered_at)
            THEN
                RETURN NEW;
            END IF;
            {refuse("signing keys are kept")}""",
        "samples": refuse("samples are kept"),
        "verdicts": refuse("verdicts are kept"),
    }
    for table, body in bodies.items():
        events = "UPDATE" if table == "receipts" else "UPDATE OR DELETE"
        yield f"CREATE FUNCTION veil_guard_{table}() {head} $$ BEGIN {body} END $$"
        yield (
            f"CREATE TRIGGER veil_guard BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION veil_guard_{table}()"
        )
    yield f"CREATE FUNCTION veil_guard_truncate() {head} $$ BEGIN {refuse('records are not truncated')} END $$"
    for table in bodies:
        yield (
            f"CREATE TRIGGER veil_guard_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION veil_guard_truncate()"
        )
    # Once for each statement, not for each row: a purge removes thousands.
    yield f"""CREATE FUNCTION veil_guard_receipts_delete() {head} $$ BEGIN
        IF EXISTS (
            SELECT 1 FROM gone WHERE
            (received_at < now() - (SELECT make_interval(days => receipts_days) FROM retention)) IS NOT TRUE
        ) AND NOT EXISTS (
            SELECT 1 FROM audit WHERE action = '{ERASURE}' AND at > now() - interval '1 day'
            AND audit.xmin = pg_current_xact_id()::xid
        ) THEN
            {refuse("receipts are removed by retention or an audited erasure only")}
        END IF;
        RETURN NULL;
    END $$"""
    yield (
        "CREATE TRIGGER veil_guard_delete AFTER DELETE ON receipts REFERENCING OLD TABLE AS gone "
        "FOR EACH STATEMENT EXECUTE FUNCTION veil_guard_receipts_delete()"
    )
    # Not a matter of taste for the caller: stating a retention and auditing it are one act.
    yield f"""CREATE FUNCTION veil_audit_retention() {head} $$ BEGIN
        INSERT INTO audit (id, at, actor, action, facts) VALUES (
            gen_random_uuid(), now(), NEW.changed_by, 'retention-changed', jsonb_build_object(
                'receipts_days', NEW.receipts_days, 'detections_days', NEW.detections_days,
                'audit_days', NEW.audit_days, 'before', CASE WHEN TG_OP = 'UPDATE' THEN jsonb_build_object(
                    'receipts_days', OLD.receipts_days, 'detections_days', OLD.detections_days,
                    'audit_days', OLD.audit_days) END));
        RETURN NULL;
    END $$"""
    yield (
        "CREATE TRIGGER veil_audit AFTER INSERT OR UPDATE ON retention "
        "FOR EACH ROW EXECUTE FUNCTION veil_audit_retention()"
    )


NOW: Final = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


def _old(moment: str, days: str) -> str:
    """Whether the column `moment` is further back than the stated retention `days`; 0 where none is stated."""
    limit = f"(SELECT strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || {days} || ' days') FROM retention)"
    return f"coalesce({moment} < {limit}, 0)"


def _refuse(name: str, event: str, table: str, unless: str, text: str) -> str:
    condition = f" WHEN NOT ({unless})" if unless else ""
    return f"CREATE TRIGGER {name} BEFORE {event} ON {table}{condition} BEGIN SELECT RAISE(ABORT, '{text}'); END"


def _days(row: str) -> str:
    return ", ".join(f"'{name}', {row}.{name}" for name in ("receipts_days", "detections_days", "audit_days"))


def _retention_audit(event: str, before: str) -> str:
    facts = f"json_object({_days('NEW')}, 'before', {before})"
    return (
        f"CREATE TRIGGER veil_retention_audit_{event.lower()} AFTER {event} ON retention BEGIN "
        f"INSERT INTO audit (id, at, actor, action, facts) VALUES "
        f"(lower(hex(randomblob(16))), {NOW} || '000', NEW.changed_by, 'retention-changed', {facts}); END"
    )


def _same(table_columns: tuple[str, ...]) -> str:
    return " AND ".join(f"NEW.{each} IS OLD.{each}" for each in table_columns)


RECEIPT_COLUMNS: Final = (
    "id received_at finished_at caller source_ref outcome problem input_format input_width input_height input_bytes "
    "output_format output_bytes output_sha256 output_rewrite policy policy_digest models engine tiles counts residual "
    "timings_ms service_version detections_digest signature"
)
SQLITE: Final = (
    _refuse("veil_audit_update", "UPDATE", "audit", "", "the audit is append-only"),
    _refuse("veil_audit_delete", "DELETE", "audit", _old("OLD.at", "audit_days"), "the audit is append-only"),
    _refuse(
        "veil_receipts_update",
        "UPDATE",
        "receipts",
        f"NEW.detections IS NULL AND {_old('OLD.received_at', 'detections_days')} AND "
        + _same(tuple(RECEIPT_COLUMNS.split())),
        "receipts are not changed",
    ),
    _refuse(
        "veil_receipts_delete",
        "DELETE",
        "receipts",
        f"{_old('OLD.received_at', 'receipts_days')} OR EXISTS (SELECT 1 FROM audit WHERE action = '{ERASURE}' "
        "AND at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-60 seconds'))",
        "receipts are removed by retention or an audited erasure only",
    ),
    _refuse("veil_retention_delete", "DELETE", "retention", "", "the retention is stated, not removed"),
    _retention_audit("INSERT", "NULL"),
    _retention_audit("UPDATE", f"json_object({_days('OLD')})"),
    _refuse(
        "veil_signing_keys_update",
        "UPDATE",
        "signing_keys",
        "OLD.revoked_at IS NULL AND " + _same(("kid", "public", "registered_at")),
        "signing keys are kept",
    ),
    _refuse("veil_signing_keys_delete", "DELETE", "signing_keys", "", "signing keys are kept"),
    *(
        _refuse(f"veil_{table}_{event.lower()}", event, table, "", f"{table} are kept")
        for table in ("samples", "verdicts")
        for event in ("UPDATE", "DELETE")
    ),
)
