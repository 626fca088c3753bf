"""`python -m training`: decode, train, average, export, threshold, evaluate, mine, review."""

from pathlib import Path
from typing import Annotated

import typer

from training.photographs import LISTS, Labels, Photographs, corrected, ids, read_coco, read_voc

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make the plate detector.")

Repository = Annotated[Path, typer.Option(help="Model repository with the plate model.")]
RELEASED = Path(__file__).parents[1] / "model_repository"


def _list(open_images: Path, name: str) -> list[Labels]:
    """The photographs of one ID list; the test and dev lists lie in the set's `valid` folder."""
    part = "train" if name == "train" else "valid"
    return list(read_voc(open_images / part, open_images / f"{part}labels", ids(name)))


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
    start: Annotated[Path | None, typer.Option(help="Checkpoint to start from.")] = None,
    minutes: Annotated[float, typer.Option(help="How long to train; the cosine is fitted to it.")] = 30.0,
    steps: Annotated[int, typer.Option(help="At most so many steps.")] = 1 << 62,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    device: Annotated[str, typer.Option(help="cpu, or cuda.")] = "cpu",
    fine: Annotated[bool, typer.Option(help="Fold the normalization and keep the first stages: short runs.")] = False,
    bfloat16: Annotated[bool | None, typer.Option(help="Autocast; on with cuda, off with cpu.")] = None,
    batch: Annotated[int, typer.Option(help="Crops of 320 pixels in a batch.")] = 16,
    threads: Annotated[int, typer.Option(help="Threads of the network on a CPU.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that draw crops.")] = 1,
    fonts: Annotated[Path, typer.Option(help="Folder with fonts.")] = Path("/usr/share/fonts"),
    seed: Annotated[int, typer.Option()] = 11,
) -> None:
    """Train from nothing or from a checkpoint."""
    import torch

    from training.fit import Plan, fit
    from training.samples import Mixture
    from training.workers import batches

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    plan = Plan(
        minutes=minutes, steps=steps, rate=rate, device=device, fine=fine, warmup=40 if fine else 200,
        average=0.99 if fine else 0.998, bfloat16=device != "cpu" if bfloat16 is None else bfloat16,
    )  # fmt: skip
    with batches(cache, fonts, seed, Mixture(), batch * 320**2, workers) as stream:
        done = fit(stream, plan, output, lambda text: print(text, flush=True), start)
    print(f"{done} steps, written to {output}")


@app.command()
def average(
    output: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoints of runs from the same start.")],
) -> None:
    """Write the mean of several runs, which cost time side by side and nothing when used."""
    from training.soup import average as mean

    mean(checkpoints, output)


@app.command()
def export(
    checkpoint: Path,
    repository: Annotated[Path, typer.Argument(help="Folder for a repository with this model alone.")],
    threshold: Annotated[
        float | None, typer.Option(help="Recommended threshold; the released one if not given.")
    ] = None,
) -> None:
    """Write a checkpoint as a model repository: network, contract, checksum."""
    from training.release import release

    print(release(checkpoint, RELEASED, repository, threshold))


@app.command()
def threshold(
    open_images: Path,
    repository: Repository = RELEASED,
    false_boxes: Annotated[float, typer.Option(help="False boxes per picture to allow on the dev list.")] = 0.5,
) -> None:
    """Find the threshold on the dev list, which is not reported."""
    from training.scoring import line, measure, threshold_for
    from training.search import search

    found = list(search(repository, _list(open_images, "dev")))
    print(line("dev list", measure(found, threshold_for(found, false_boxes), 0.1)))


@app.command()
def evaluate(
    at: Annotated[list[float], typer.Option(help="Thresholds.")],
    open_images: Annotated[Path | None, typer.Option(help="Report on its test list.")] = None,
    folder: Annotated[list[Path] | None, typer.Option(help="COCO-style folders to report on.")] = None,
    repository: Repository = RELEASED,
    margin: float = 0.1,
) -> None:
    """Report recall by height and false boxes at given thresholds; `veil evaluate` does so through the real masks."""
    from training.scoring import line, measure
    from training.search import search

    sets = {"open images, test": _list(open_images, "test")} if open_images else {}
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
