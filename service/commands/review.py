"""Commands of quality control: draw a sample, record verdicts, see the recall."""

import secrets
from typing import Annotated
from uuid import UUID

import typer

from service.commands.console import err, fail, out, plain_errors, settings_now, table
from service.commands.models import read
from service.commands.records import moment, with_records
from service.errors import ReceiptNotFound
from service.records.audit import COMMAND_LINE
from service.records.database import Database
from service.records.repository import ReceiptRepository
from service.records.reviews import ReviewRepository, Sample, Verdict

app = typer.Typer()


@app.command()
def sample(
    since: Annotated[str, typer.Option("--from", help="Received at this time or later: 2026-05-04 or RFC 3339.")],
    until: Annotated[str, typer.Option("--to", help="Received before this time, which must be over.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many pictures.")],
    seed: Annotated[str | None, typer.Option(help="The same seed gives the same sample; by default a new one.")] = None,
) -> None:
    """Draw pictures for review at random: each that left in the period has the same chance."""
    with plain_errors():
        begin, end = moment(since, "from"), moment(until, "to")
    assert begin is not None
    assert end is not None

    async def draw(database: Database) -> tuple[Sample, list[tuple[str, ...]]]:
        drawn = await ReviewRepository(database).draw(begin, end, n, seed or secrets.token_hex(8), COMMAND_LINE)
        return drawn, [await _found(ReceiptRepository(database), each) for each in drawn.receipts]

    drawn, rows = with_records(draw)
    listed = table("receipt", "reference", "SHA-256 of what left", "found")
    for row in rows:
        listed.add_row(*row)
    out.print(listed)
    err.print(f"sample {drawn.id}: {len(drawn.receipts)} of {drawn.population} pictures, seed {drawn.seed}")


@app.command()
def verdict(
    sample: Annotated[str, typer.Argument(help="The sample's id.")],
    receipt: Annotated[str, typer.Argument(help="The receipt's id.")],
    class_name: Annotated[str, typer.Option("--class", help="face or plate.")],
    seen: Annotated[int, typer.Option(min=0, help="Objects of the class that the picture shows.")],
    missed: Annotated[int, typer.Option(min=0, help="How many of them are not hidden.")],
) -> None:
    """Record what one picture of a sample shows; a later verdict takes the place of the one before."""
    with plain_errors():
        known = sorted({each for spec in read(settings_now()).specs for each in spec.classes})
    if class_name not in known:
        fail(f"--class: give one of {', '.join(known)}", 2)
    try:
        id = UUID(receipt)
    except ValueError:
        fail("receipt: this is not the id of a receipt", 2)
    given = Verdict(id, class_name, seen, missed)
    with_records(lambda database: ReviewRepository(database).judge(sample, given, COMMAND_LINE))


@app.command()
def recall(sample: Annotated[str, typer.Argument(help="The sample's id.")]) -> None:
    """Show the recall that a sample's verdicts give, with its one-sided 95 % bound."""
    listed = table("class", "pictures", "seen", "missed", "recall", "at least", "pictures without a miss, at least")
    for each in with_records(lambda database: ReviewRepository(database).recall(sample)):
        shares = (_share(share) for share in (each.recall, each.recall_bound, each.clean_bound))
        listed.add_row(each.class_name, *map(str, (each.pictures, each.seen, each.missed)), *shares)
    out.print(listed)


async def _found(receipts: ReceiptRepository, id: UUID) -> tuple[str, ...]:
    try:
        receipt = await receipts.get(id)
    except ReceiptNotFound:
        return str(id), "removed since", "", ""
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(receipt.counts.items()))
    return str(id), receipt.source_ref or "", receipt.output.sha256 or "", counts


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.4f}"
