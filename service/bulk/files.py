"""`veil anonymize FILE…`: some pictures into one folder."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from service.app.failure import StartError
from service.bulk.engines import Engine, PictureFailed
from service.bulk.opening import open_engine
from service.bulk.stores import Folder
from service.policy import OutputFormat
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
    async with open_engine(settings, options, None, jobs) as opened:
        targets = plan(files, output, opened.format)
        limit = asyncio.Semaphore(jobs)

        async def one(source: Path, target: Path) -> bool:
            async with limit:
                try:
                    await anonymize_file(opened.engine, source, target, opened.source_ref, proofs=proofs)
                except PictureFailed as error:
                    console.print(f"{source}: {error.detail}", markup=False, soft_wrap=True)
                    return False
                return True

        done = await asyncio.gather(*(one(source, target) for source, target in targets))
    return done.count(False)


async def anonymize_file(
    engine: Engine, source: Path, target: Path, source_ref: str | None, *, proofs: bool = False
) -> None:
    """One picture, read whole and written whole: a result appears under its name only when it is complete.

    `proofs`: and its signed receipt before it, as `<name>.receipt.json`.
    """
    data = await asyncio.to_thread(Folder(source.parent).read, source.name, engine.limit)
    made = await engine.anonymize(data, source_ref)
    place = Folder(target.parent)
    if proofs and made.proof is not None:
        proof = made.proof
        await asyncio.to_thread(lambda: place.stage(f"{target.name}.receipt.json", proof).publish())
    await asyncio.to_thread(lambda: place.stage(target.name, made.data).publish())


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
