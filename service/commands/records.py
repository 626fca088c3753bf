"""Commands on what is recorded: report, export, audit, purge, erase."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from service.app.records import open_database, retention_of
from service.commands.console import err, fail, out, plain_errors, settings_now, table
from service.errors import InvalidRequest, OptionProblem
from service.records.audit import COMMAND_LINE, AuditLog
from service.records.database import Database
from service.records.erasure import Erasure
from service.records.repository import ReceiptRepository
from service.records.retention import RetentionRepository

T = TypeVar("T")

app = typer.Typer()

From = Annotated[str | None, typer.Option("--from", help="Received at this time or later: 2026-05-04 or RFC 3339.")]
To = Annotated[str | None, typer.Option("--to", help="Received before this time: 2026-05-04 or RFC 3339.")]
SourceRef = Annotated[str | None, typer.Option(help="Only receipts with this reference.")]


@asynccontextmanager
async def records() -> AsyncIterator[Database]:
    """The configured database."""
    async with open_database(settings_now()) as database:
        yield database


def with_records(work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` on the configured database."""

    async def run() -> T:
        async with records() as database:
            return await work(database)

    with plain_errors():
        return asyncio.run(run())


def moment(text: str | None, name: str) -> datetime | None:
    """The moment that `text` names: a day (its beginning in UTC), or RFC 3339. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-05-04"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise InvalidRequest([OptionProblem(f"/--{name}", "give 2026-05-04, or 2026-05-04T08:00:00Z")])
    return parsed


@app.command()
def report(
    output: Annotated[Path, typer.Option("-o", "--output", file_okay=False, help="Folder of the two files.")] = Path(
        "report"
    ),
    source_ref: SourceRef = None,
    since: From = None,
    until: To = None,
) -> None:
    """Write what was processed, how and by whom: report.html for people, report.json for programs."""
    from service.reporting.summary import Scope
    from service.reporting.write import write_report

    if source_ref is None and since is None and until is None:
        fail("Say what the report is about: --source-ref, or --from and --to.", 2)
    with plain_errors():
        scope = Scope(source_ref, moment(since, "from"), moment(until, "to"))
    made = with_records(lambda database: write_report(database, scope, output, COMMAND_LINE))
    out.print(f"{made.summary.requests} receipts: {output / 'report.html'}, {output / 'report.json'}", soft_wrap=True)


@app.command()
def export(
    to: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "ndjson",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; by default standard output.")] = None,
    source_ref: SourceRef = None,
    since: From = None,
    until: To = None,
) -> None:
    """Write receipts as NDJSON or CSV."""
    from service.api.exports import ExportFormat, audited

    async def write(database: Database) -> None:
        conditions = {"since": moment(since, "from"), "until": moment(until, "to"), "source_ref": source_ref}
        facts = {name: True if name == "source_ref" else str(value) for name, value in conditions.items() if value}
        receipts, log = ReceiptRepository(database), AuditLog(database)
        file = sys.stdout.buffer if output is None else output.open("xb")
        try:
            async for piece in audited(receipts, log, COMMAND_LINE, ExportFormat(to), conditions, facts):
                file.write(piece)
            file.flush()
        finally:
            if output is not None:
                file.close()

    if to not in list(ExportFormat):
        fail("--format: give ndjson or csv", 2)
    with_records(write)


@app.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries.")] = 50,
    since: From = None,
    until: To = None,
) -> None:
    """Show who did what when, the newest first."""

    async def read(database: Database) -> None:
        found = await AuditLog(database).page(since=moment(since, "from"), until=moment(until, "to"), limit=limit)
        listed = table("when", "who", "what", "of", "facts")
        for each in found.entries:
            who = f"{each.actor.key_name or ''} {each.actor.key_id or each.actor.kind}".strip()
            facts = ", ".join(f"{name}: {value}" for name, value in each.facts.items())
            listed.add_row(f"{each.at:%Y-%m-%d %H:%M:%S}", who, each.action, each.subject or "", facts)
        out.print(listed)

    with_records(read)


@app.command()
def purge(dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False) -> None:
    """Remove what VEIL_RETENTION__… does not keep; the service does so by itself every few hours."""

    async def work(database: Database) -> None:
        store, wanted = RetentionRepository(database), retention_of(settings_now())
        if not wanted:
            err.print("No retention is set (VEIL_RETENTION__…): everything is kept.")
            return
        if not dry_run:
            await store.state(wanted, COMMAND_LINE)
        counts = await (store.due(wanted) if dry_run else store.purge(COMMAND_LINE))
        for name, count in asdict(counts).items():
            out.print(f"{count} {name} {'would be' if dry_run else ''} removed".replace("  ", " "))

    with_records(work)


@app.command()
def erase(
    source_ref: Annotated[str, typer.Option(help="The reference whose receipts are removed.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove every receipt with a reference, for good. The audit keeps the count, not the reference."""

    async def work(database: Database) -> None:
        erasure = Erasure(database)
        count, first, last = await erasure.due(source_ref)
        if not count:
            out.print("no receipt has this reference")
            return
        found = f"{count} receipts, received from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
        if dry_run:
            out.print(f"{found}, would be removed")
            return
        if not yes and not typer.confirm(f"Remove {found}?", err=True):
            fail("nothing was removed")
        out.print(f"{await erasure.erase(source_ref, COMMAND_LINE)} receipts removed")

    with_records(work)
