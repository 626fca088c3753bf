"""`python -m training`: the steps from photographs to a released plate detector, and to the gate before all detectors.

decode, train, average, propose, train-second, export, threshold, evaluate, mine, review; of the gate: tiles, train,
limits, release.
"""

from pathlib import Path
from typing import Annotated

import typer

from training.gate.commands import app as gate
from training.options import (
    RELEASED,
    SYSTEM_FONTS,
    Device,
    FontFolder,
    Minutes,
    Rate,
    Repository,
    Start,
    Threads,
    Workers,
)
from training.photographs import LISTS, Labels, Photographs, corrected, ids, read_coco, read_voc, spared

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make the plate detector, and the gate.")
app.add_typer(gate, name="gate")

AnnotatedOnly = Annotated[
    bool, typer.Option(help="Count what nobody annotated as false, even what a review calls plate.")
]


def _list(open_images: Path, name: str, annotated_only: bool = True) -> list[Labels]:
    """The photographs of one ID list; the test and dev lists lie in the set's `valid` folder."""
    part = "train" if name == "train" else "valid"
    found = read_voc(open_images / part, open_images / f"{part}labels", ids(name))
    return list(found if annotated_only else map(spared, found))


def _folder(folder: Path) -> list[Labels]:
    """A COCO-style folder, all subsets whose plates are annotated."""
    import json

    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    return list(read_coco(folder, {image["subset"] for image in document["images"] if image["annotated"]["plate"]}))


@app.command()
def decode(
    open_images: Annotated[Path, typer.Argument(help="Folder with train/, trainlabels/, valid/, validlabels/.")],
    cache: Annotated[Path, typer.Argument(help="Folder for the decoded photographs; about 3 GB.")],
    extra: Annotated[Path | None, typer.Option(help="COCO-style folder with more photographs.")] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Subsets of --extra to take.")] = None,
    repeat: Annotated[int, typer.Option(help="How often each photograph of --extra counts.")] = 4,
) -> None:
    """Decode the photographs of the training list once, with the corrections of the review."""
    labels = [corrected(each) for each in _list(open_images, "train")]
    if extra is not None:
        labels += [each for each in read_coco(extra, subset or ()) for _ in range(repeat)]
    photographs = Photographs.decode(labels, cache)
    print(f"{len(photographs)} photographs, {len(photographs.lookalikes)} known lookalikes")


@app.command()
def train(
    cache: Annotated[Path, typer.Argument(help="What `decode` wrote.")],
    output: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    start: Start = None,
    minutes: Minutes = 30.0,
    steps: Annotated[int, typer.Option(help="At most so many steps.")] = 1 << 62,
    rate: Rate = 2e-3,
    device: Device = "cpu",
    fine: Annotated[bool, typer.Option(help="Fold the normalization and keep the first stages: short runs.")] = False,
    bfloat16: Annotated[bool | None, typer.Option(help="Autocast; on with cuda, off with cpu.")] = None,
    batch: Annotated[int, typer.Option(help="Crops of 320 pixels in a batch.")] = 16,
    threads: Threads = 1,
    workers: Workers = 1,
    fonts: FontFolder = SYSTEM_FONTS,
    seed: Annotated[int, typer.Option()] = 11,
    synthetic: Annotated[
        float | None, typer.Option(help="Share of crops with synthetic plates; .31 if not given.", min=0, max=1)
    ] = None,
    context: Annotated[bool, typer.Option(help="The network with context, from ImageNet's features.")] = False,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Checkpoints of networks whose scores it learns besides the labels.")
    ] = None,
) -> None:
    """Train a network that proposes, from nothing or from a checkpoint, which says which of the two it is."""
    import torch

    from training.fit import Plan, fit
    from training.samples import Mixture
    from training.workers import batches

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    plan = Plan(
        minutes=minutes, steps=steps, rate=rate, device=device, fine=fine, warmup=40 if fine else 200,
        average=0.99 if fine else 0.998, bfloat16=device != "cpu" if bfloat16 is None else bfloat16,
        context=context,
    )  # fmt: skip
    mixture = Mixture() if synthetic is None else Mixture().with_synthetic(synthetic)
    with batches(cache, fonts, seed, mixture, batch * 320**2, workers, teacher or ()) as stream:
        done = fit(stream, plan, output, lambda text: print(text, flush=True), start)
    print(f"{done} steps, written to {output}")


@app.command()
def average(
    output: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoints of runs from the same start, of one stage.")],
    share: Annotated[list[float] | None, typer.Option(help="Of each of them in the mean; equal if not given.")] = None,
) -> None:
    """Write the mean of several runs, which cost time side by side and nothing when used."""
    from training.soup import average as mean

    mean(checkpoints, output, share or ())


@app.command()
def propose(
    cache: Annotated[Path, typer.Argument(help="What `decode` wrote.")],
    places: Annotated[Path, typer.Argument(help="Folder for the places; 18 kB each.")],
    count: Annotated[int, typer.Option(help="How many places, altogether.")] = 300_000,
    workers: Workers = 2,
    fonts: FontFolder = SYSTEM_FONTS,
    model: Annotated[Path, typer.Option(help="Folder of the model whose networks propose.")] = RELEASED / "plate",
    seed: Annotated[int, typer.Option()] = 101,
    synthetic: Annotated[
        float | None, typer.Option(help="Share of crops with synthetic plates; .3 if not given.", min=0, max=1)
    ] = None,
) -> None:
    """Cut out what the first stage proposes on training crops, for the second one."""
    from training.workers import PLACES_MIXTURE, write_places

    mixture = PLACES_MIXTURE if synthetic is None else PLACES_MIXTURE.with_synthetic(synthetic)
    print(f"{write_places(cache, fonts, model, places, seed, count, workers, mixture)} places")


@app.command()
def train_second(
    places: Annotated[Path, typer.Argument(help="What `propose` wrote.")],
    output: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    start: Start = None,
    doubt: Annotated[
        Path | None, typer.Option(help="Checkpoint whose sure verdicts against the labels keep places out.")
    ] = None,
    minutes: Minutes = 30.0,
    rate: Rate = 1e-3,
    device: Device = "cpu",
    threads: Threads = 2,
    seed: Annotated[int, typer.Option()] = 5,
) -> None:
    """Train the second stage, which judges the first one's proposals."""
    import torch

    from training.fit_second import SecondPlan, doubtful, fit_second
    from training.places import Places

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    plan, learned = SecondPlan(minutes=minutes, rate=rate, device=device, seed=seed), Places(places)
    if doubt is not None:
        left_out = doubtful(learned, doubt, device)
        learned.leave_out(left_out)
        print(f"{len(left_out)} of {len(learned)} places are left out", flush=True)
    done = fit_second(learned, plan, output, lambda text: print(text, flush=True), start)
    print(f"{done} steps, written to {output}")


@app.command()
def export(
    repository: Annotated[Path, typer.Argument(help="Folder for a repository with this model alone.")],
    first: Annotated[
        Path | None, typer.Option(help="Checkpoint of `train`; the released network if not given.")
    ] = None,
    second: Annotated[
        Path | None, typer.Option(help="Checkpoint of `train-second`; the released network if not given.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Recommended threshold; the released one if not given.")
    ] = None,
    version: Annotated[int | None, typer.Option(help="Version to call it; the released one's if not given.")] = None,
    odds: Annotated[
        float, typer.Option(help="Factor on the odds of --first: one that was taught is too modest.")
    ] = 1.0,
) -> None:
    """Write checkpoints as a model repository: networks, contract, checksum."""
    from training.release import release

    print(release(RELEASED, repository, first, second, threshold, version, odds))


@app.command()
def threshold(
    open_images: Path,
    repository: Repository = RELEASED,
    false_boxes: Annotated[float, typer.Option(help="False boxes per picture to allow on the dev list.")] = 0.5,
    margin: float = 0.2,
    annotated_only: AnnotatedOnly = False,
) -> None:
    """Find the threshold on the dev list, which is not reported."""
    from training.scoring import line, measure, threshold_for
    from training.search import search

    found = list(search(repository, _list(open_images, "dev", annotated_only)))
    print(line("dev list", measure(found, threshold_for(found, false_boxes), margin)))


@app.command()
def evaluate(
    at: Annotated[list[float], typer.Option(help="Thresholds.")],
    open_images: Annotated[Path | None, typer.Option(help="Report on its test list.")] = None,
    folder: Annotated[list[Path] | None, typer.Option(help="COCO-style folders to report on.")] = None,
    repository: Repository = RELEASED,
    margin: float = 0.2,
    annotated_only: AnnotatedOnly = False,
) -> None:
    """Report recall by height and false boxes at given thresholds; `veil evaluate` does so through the real masks."""
    from training.scoring import line, measure
    from training.search import search

    sets = {"open images, test": _list(open_images, "test", annotated_only)} if open_images else {}
    sets |= {each.name: _folder(each) for each in folder or ()}
    for name, labels in sets.items():
        found = list(search(repository, labels))
        for value in at:
            print(line(name, measure(found, value, margin)))


@app.command()
def mine(
    open_images: Path,
    sheets: Annotated[Path, typer.Argument(help="Folder for the sheets; keep it out of repositories.")],
    repository: Repository = RELEASED,
    least: Annotated[float, typer.Option(help="Lowest score to show.")] = 0.5,
) -> None:
    """Show what a model finds in training photographs where nothing is annotated, for review."""
    from training import mining

    found = mining.candidates(repository, [corrected(each) for each in _list(open_images, "train")], least)
    mining.sheets(found, sheets)
    print(f"{len(found)} boxes; fill in {sheets / 'verdicts.json'}, then run: python -m training review")


@app.command()
def review(verdicts: Annotated[Path, typer.Argument(help="The filled-in verdicts.json.")]) -> None:
    """Add a person's verdicts to training/lists/reviewed.json."""
    from training import mining

    print(f"{mining.merge(verdicts, LISTS)} verdicts added")


if __name__ == "__main__":
    app()
