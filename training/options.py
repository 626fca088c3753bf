"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Repository = Annotated[Path, typer.Option(help="Model repository with the plate model.")]
RELEASED = Path(__file__).parents[1] / "model_repository"

Start = Annotated[Path | None, typer.Option(help="Checkpoint to start from.")]
Minutes = Annotated[float, typer.Option(help="How long to train; the cosine is fitted to it.")]
Rate = Annotated[float, typer.Option(help="Highest learning rate.")]
Device = Annotated[str, typer.Option(help="cpu, or cuda.")]
Threads = Annotated[int, typer.Option(help="Threads of the network on a CPU.")]
Workers = Annotated[int, typer.Option(help="Processes that draw crops.")]
FontFolder = Annotated[Path, typer.Option(help="Folder with fonts.")]
SYSTEM_FONTS = Path("/usr/share/fonts")
