"""From a checkpoint to a model repository: ONNX, the contract, checksum, golden answers."""

import asyncio
import hashlib
import json
import shutil
from pathlib import Path

import torch

from service.golden import write_golden
from service.models import platenet
from service.models.catalog import Catalog
from service.settings import Settings
from training.network import Published, folded, read_checkpoint

OPSET = 17


def network_onnx(checkpoint: Path, target: Path) -> None:
    """Writes the network of `checkpoint`, normalization folded, as `target`; n, height and width are free."""
    example = torch.zeros(1, 3, 64, 64)
    axes = {"image": {0: "n", 2: "h", 3: "w"}} | {name: {0: "n", 2: "h4", 3: "w4"} for name in ("score", "box")}
    torch.onnx.export(
        Published(folded(read_checkpoint(checkpoint))).eval(),
        (example,),
        str(target),
        input_names=["image"],
        output_names=["score", "box"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )


def release(checkpoint: Path, template: Path, repository: Path, threshold: float | None = None) -> Path:
    """A repository with the model of `checkpoint` alone; all but file and threshold is as in `template`'s plate model.

    Returns the model's file. The folder `repository`/plate can be put in place of the released one.
    """
    folder = repository / "plate"
    (folder / platenet.SOURCE).parent.mkdir(parents=True, exist_ok=True)
    network_onnx(checkpoint, folder / platenet.SOURCE)
    content = platenet.rewrite((folder / platenet.SOURCE).read_bytes())
    description = json.loads((template / "plate" / "model.json").read_text(encoding="utf-8"))
    description["sha256"] = hashlib.sha256(content).hexdigest()
    if threshold is not None:
        description["threshold"] = round(threshold, 3)
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    for name in ("config.pbtxt", "MODEL_CARD.md"):
        if (template / "plate" / name).is_file():
            shutil.copyfile(template / "plate" / name, folder / name)
    catalog = Catalog.read(repository)
    file = catalog.file(catalog.specs[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    asyncio.run(write_golden(Settings.load({}), catalog))
    return file
