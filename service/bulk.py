"""`veil anonymize FILE…`: the same pipeline without HTTP, file to file."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.api.options import parse_options
from service.api.services import OptionRules
from service.app import StartError, Veil, open_veil, option_rules
from service.errors import InvalidRequest, OptionProblem, UploadTooLarge, VeilError
from service.policy import OutputFormat, Policy
from service.records.draft import Draft
from service.records.proof import write_proof
from service.records.receipt import Receipt
from service.settings import Settings


async def anonymize_files(
    settings: Settings,
    files: Sequence[Path],
    output: Path,
    options: Sequence[str],
    jobs: int,
    console: Console,
    *,
    proofs: bool = False,
) -> int:
    """Anonymizes each of `files` into the folder `output`; returns how many failed. What fails is not written.

    `proofs`: beside each result, its signed receipt. Raises StartError if there is no key for them, if two files would
    get the same name or a file would be overwritten by its own result, and InvalidRequest if `options` (`name=value`)
    are wrong.
    """
    if proofs and settings.signing.key is None:
        raise StartError("There is no key to sign with: 'veil keys signing new FILE', then VEIL_SIGNING__KEY_FILE.")
    async with open_veil(settings) as veil:
        policy, source_ref = policy_of(options, option_rules(veil))
        targets = plan(files, output, policy.format)
        await asyncio.to_thread(output.mkdir, parents=True, exist_ok=True)
        limit = asyncio.Semaphore(jobs)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        failed = 0
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("anonymizing", total=len(files))

            async def one(source: Path, target: Path) -> bool:
                async with limit:
                    try:
                        receipt = await anonymize_file(veil, source, target, policy, source_ref)
                        if proofs:
                            proof = target.with_name(f"{target.name}.receipt.json")
                            await asyncio.to_thread(write_whole, proof, write_proof(receipt))
                    except VeilError as error:
                        progress.console.print(f"{source}: {error.detail}", markup=False)
                        return False
                    finally:
                        progress.advance(task)
                    return True

            done = await asyncio.gather(*(one(source, target) for source, target in targets))
            failed = done.count(False)
    return failed


def plan(files: Sequence[Path], output: Path, to: OutputFormat) -> list[tuple[Path, Path]]:
    """Each file with its result's place. Raises StartError where results would collide or hit their own source."""
    targets: dict[Path, Path] = {}
    for source in files:
        target = output / source.name
        if to is not OutputFormat.SAME:
            target = target.with_suffix(f".{to.value}")
        if target in targets:
            raise StartError(f"{source} and {targets[target]} would both become {target}")
        if target.resolve() == source.resolve():
            raise StartError(f"{source} would be overwritten by its own result; name another folder with -o")
        targets[target] = source
    return [(source, target) for target, source in targets.items()]


def policy_of(options: Sequence[str], rules: OptionRules) -> tuple[Policy, str | None]:
    """The policy that `options` (`name=value`, as in the API) give. Raises InvalidRequest."""
    pairs = []
    for text in options:
        name, separator, value = text.partition("=")
        if not separator:
            raise InvalidRequest([OptionProblem(f"/{name}", "give an option as NAME=VALUE")])
        pairs.append((name, value))
    parsed = parse_options(pairs, rules)
    return parsed.policy, parsed.source_ref


async def anonymize_file(veil: Veil, source: Path, target: Path, policy: Policy, source_ref: str | None) -> Receipt:
    """One picture, read whole and written whole (it appears under its name only when complete); gives its receipt."""
    draft = Draft(source_ref=source_ref)
    data = await asyncio.to_thread(read_bounded, source, veil.settings.limits.max_upload_bytes)
    if data is None:
        async with veil.anonymizer.recorded(draft):
            raise UploadTooLarge
    result = await veil.anonymizer.anonymize(data, policy, draft)
    await asyncio.to_thread(write_whole, target, result.data)
    return result.receipt


def read_bounded(source: Path, limit: int) -> bytes | None:
    """The file's bytes, or None if there are more than `limit`."""
    with source.open("rb") as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def write_whole(target: Path, data: bytes) -> None:
    """Writes beside `target`, flushes to the disk, then renames."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
