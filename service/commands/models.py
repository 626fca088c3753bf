"""Commands on the detectors' files."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from service.app.detectors import as_computed
from service.app.failure import StartError
from service.commands.console import err, out, plain_errors, settings_now, table
from service.models.catalog import Catalog, ModelError
from service.models.verify import verify_files
from service.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Build, list, verify and export the detectors.")


@app.command("build")
def models_build() -> None:
    """Obtain the published detectors and rewrite them into the contract."""
    from service.models.build import build_models

    with plain_errors():
        for spec in build_models(
            settings_now().models.repository, lambda text: err.print(text, markup=False, soft_wrap=True)
        ):
            out.print(f"{spec.label}  {spec.sha256}", soft_wrap=True)


@app.command("list")
def models_list() -> None:
    """List the models of the catalog."""
    with plain_errors():
        catalog = read(settings_now())
    listed = table("model", "classes", "tile", "threshold", "license", "sha256")
    for spec in catalog.every:
        size = f"{spec.tile_width}×{spec.tile_height}"
        listed.add_row(spec.label, ", ".join(spec.classes), size, f"{spec.threshold}", spec.license, spec.sha256[:16])
    out.print(listed)


@app.command("verify")
def models_verify() -> None:
    """Compare each model file with its checksum."""
    with plain_errors():
        catalog = read(settings_now())
    problems = verify_files(catalog)
    for problem in problems:
        err.print(str(problem), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    out.print(f"{len(catalog.every)} models match their checksums")


@app.command("golden")
def models_golden(
    check: Annotated[bool, typer.Option("--check", help="Only compare the configured engine's answers.")] = False,
) -> None:
    """Write what each model must answer for known pictures, as the embedded engine computes it from the files."""
    from service.golden import check_golden, write_golden

    with plain_errors():
        settings = settings_now()
        catalog = read(settings)
        if not check:
            for label in asyncio.run(write_golden(settings, catalog)):
                out.print(f"{label}: wrote its golden answers")
            return
        wrong = asyncio.run(check_golden(settings, as_computed(settings, catalog)))
    for label, difference in wrong.items():
        text = "answers as it must" if difference is None else difference
        (out if difference is None else err).print(f"{label}: {text}", markup=False, soft_wrap=True)
    if any(wrong.values()):
        raise typer.Exit(1)


@app.command("export")
def models_export(
    target: Annotated[Path, typer.Argument(file_okay=False, help="Folder of the new Triton model repository.")],
    engine: Annotated[str, typer.Option(help="onnxruntime, tensorrt or python.")] = "tensorrt",
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME/VERSION", help="A version that is left out.")
    ] = None,
) -> None:
    """Write a model repository for a Triton server, with every version of the catalog."""
    from service.models.export import export_repository

    with plain_errors():
        export_repository(read(settings_now()), target, engine, without or [])
        out.print(f"wrote {target}")


@app.command("variants")
def models_variants(
    target: Annotated[Path, typer.Argument(file_okay=False, help="Folder; each precision gets a repository in it.")],
    precision: Annotated[list[str] | None, typer.Option(help="fp32, fp16 or int8; may be given again. All.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of pictures to calibrate int8 by.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Tiles to calibrate by, at most.")] = 200,
) -> None:
    """Write the detectors in other precisions, to be evaluated and exported like the originals."""
    from service.calibration import calibration_tiles
    from service.golden import write_golden
    from service.models.variants import Precision, write_variant

    with plain_errors():
        settings = settings_now()
        try:
            chosen = [Precision(each) for each in precision or list(Precision)]
        except ValueError as error:
            raise ModelError(f"{error}; choose among {', '.join(Precision)}") from None
        if Precision.INT8 in chosen and pictures is None:
            raise ModelError("int8 is calibrated by pictures: name a folder with --pictures")
        tiles = calibration_tiles(pictures or target, most, settings)
        for each in chosen:
            made = write_variant(
                read(settings), target / each, each, tiles, lambda text: err.print(text, markup=False, soft_wrap=True)
            )
            asyncio.run(write_golden(settings, made))
            for spec in made.specs:
                out.print(f"{each}  {spec.label}  {spec.sha256}", soft_wrap=True)


@app.command("calibrate")
def models_calibrate(
    pictures: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of pictures like yours.")],
    names: Annotated[list[str] | None, typer.Option("--model", help="Models; all by default.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Tiles to calibrate by, at most.")] = 200,
) -> None:
    """Make the catalog's models in 8 bits for processors anew, as the embedded engine takes them."""
    from service.calibration import calibration_tiles
    from service.golden import write_golden
    from service.models.eight_bits import recalibrate

    with plain_errors():
        settings = settings_now()
        catalog = read(settings)
        if unknown := set(names or ()) - {spec.name for spec in catalog.wanted}:
            raise ModelError(f"the catalog has no {', '.join(sorted(unknown))}")
        tiles = calibration_tiles(pictures, most, settings)
        for spec in catalog.wanted:
            if not names or spec.name in names:
                out.print(f"{spec.label}  {recalibrate(catalog, spec, tiles(spec))}", soft_wrap=True)
        asyncio.run(write_golden(settings, read(settings)))


@app.command("load")
def models_load(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Models; all by default.")] = None,
) -> None:
    """Tell the Triton server to take over what its model repository has now; running requests finish."""
    with plain_errors():
        settings = settings_now()
        catalog = read(settings)
        for line in asyncio.run(load(settings, catalog, names or [spec.name for spec in catalog.specs])):
            out.print(line, soft_wrap=True)


async def load(settings: Settings, catalog: Catalog, names: Sequence[str]) -> list[str]:
    """What is served afterwards, a line for each model. Raises StartError or DetectionFailed."""
    from service.detection import triton

    if unknown := set(names) - {spec.name for spec in catalog.specs}:
        raise StartError(f"The catalog has no {', '.join(sorted(unknown))}.")
    key = settings.detection.triton_key
    client = triton.connect(settings.detection.triton_url)
    try:
        lines = []
        for name in names:
            served = await triton.load(client, name, key=None if key is None else key.get_secret_value())
            lines.append(f"{name}: serves {', '.join(served)}")
        return lines
    finally:
        await client.close()


def read(settings: Settings) -> Catalog:
    try:
        return Catalog.read(settings.models.repository)
    except (OSError, ValueError) as error:
        raise StartError(str(error)) from error
