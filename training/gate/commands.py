"""`python -m training gate`: tiles, train, limits, release."""

from pathlib import Path
from typing import Annotated

import typer

from training.options import RELEASED, SYSTEM_FONTS, Device, FontFolder, Minutes, Rate, Repository, Start, Threads

app = typer.Typer(no_args_is_help=True, help="Make the gate, which leaves out what shows nothing.")

Tiles = Annotated[Path, typer.Argument(help="What `gate tiles` wrote.")]
Checkpoint = Annotated[Path, typer.Argument(help="Checkpoint of `gate train`.")]


@app.command()
def tiles(
    photographs: Annotated[Path, typer.Argument(help="Folder with JPEG photographs; annotations are not needed.")],
    output: Annotated[Path, typer.Argument(help="Folder for the tiles, 0.2 MB each; keep it out of repositories.")],
    repository: Repository = RELEASED,
    listed: Annotated[
        str | None, typer.Option(help="Only photographs of this ID list: train, or dev to find the limits on.")
    ] = None,
    plain: Annotated[bool, typer.Option(help="Draw no lettering and no plates into them.")] = False,
    fonts: FontFolder = SYSTEM_FONTS,
    part: Annotated[int, typer.Option(help="Number of this process, from 0.")] = 0,
    parts: Annotated[int, typer.Option(help="Processes side by side, each with its `--part`.")] = 1,
) -> None:
    """Cut tiles out of photographs and note what the released detectors find in each."""
    from training.fonts import Fonts
    from training.gate.tiles import Additions, Teachers, write
    from training.photographs import id_of, ids

    found = sorted(each for each in photographs.iterdir() if each.suffix.lower() in {".jpg", ".jpeg"})
    if listed is not None:
        found = [each for each in found if id_of(each) in ids(listed)]
    additions = None if plain else Additions(Fonts.find(fonts))
    print(f"{write(found, Teachers(repository), additions, output, part, parts)} tiles of {len(found)} photographs")


@app.command()
def train(
    tiles: Tiles,
    output: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    start: Start = None,
    minutes: Minutes = 60.0,
    rate: Rate = 3e-3,
    device: Device = "cpu",
    threads: Threads = 2,
    repository: Repository = RELEASED,
) -> None:
    """Train from nothing or from a checkpoint."""
    import torch

    from training.gate.fit import GatePlan, fit_gate
    from training.gate.tiles import read, thresholds

    torch.set_num_threads(threads)
    plan = GatePlan(minutes, thresholds(repository), rate=rate, device=device)
    done = fit_gate(read(tiles), plan, output, lambda text: print(text, flush=True), start)
    print(f"{done} steps, written to {output}")


@app.command()
def limits(
    checkpoint: Checkpoint,
    tiles: Annotated[Path, typer.Argument(help="Tiles that were not learned from.")],
    repository: Repository = RELEASED,
) -> None:
    """Show what limits on the logits would let through; `veil evaluate` shows what that costs in objects."""
    from training.gate.release import shares
    from training.gate.tiles import read, thresholds

    found = shares(checkpoint, read(tiles), thresholds(repository), [k / 5 for k in range(-10, 6)])
    for name, rows in found.items():
        for each in rows:
            print(f"{name}: limit {each.limit:+.1f} lets {each.through:.3f} through, {each.kept:.4f} of what shows one")


@app.command()
def release(
    checkpoint: Checkpoint,
    limit: Annotated[list[str], typer.Option(metavar="CLASS=LOGIT", help="From which a tile is let through.")],
    repository: Repository = RELEASED,
    version: Annotated[int, typer.Option(help="Version to call it.")] = 1,
) -> None:
    """Put the gate in front of the detectors of a repository."""
    from training.gate.release import release as put
    from training.gate.tiles import labels, thresholds

    given = {name: float(value) for name, _, value in (each.partition("=") for each in limit)}
    classes = list(thresholds(repository))
    if set(given) != set(classes):
        raise typer.BadParameter(f"name {', '.join(classes)}, each once")
    ordered = {name: given[name] for name in classes}
    print(put(checkpoint, ordered, labels(repository), repository, str(version)))
