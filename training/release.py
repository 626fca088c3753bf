"""From a checkpoint to a model repository: ONNX, the contract, checksum, golden answers."""

import asyncio
import hashlib
import json
import math
import shutil
from pathlib import Path

import onnx
import torch

from service.golden import write_golden
from service.models import platenet
from service.models.catalog import Catalog, ForProcessors
from service.models.triton_config import TritonEngine, triton_config
from service.settings import Settings
from training.mobile import evenly_padded, strides_padded_behind
from training.network import OPSET, Published, folded, read_checkpoint
from training.second_stage import judge_onnx


def network_onnx(checkpoint: Path, target: Path, odds: float = 1.0) -> None:
    """Writes the network of `checkpoint`, normalization folded, as `target`; n, height and width are free.

    It takes RGB, whatever the network has been shown, and the odds of its scores are multiplied by `odds`.
    """
    network = folded(read_checkpoint(checkpoint))
    with torch.no_grad():
        network.out.bias[0] += math.log(odds)
    if not network.rgb:
        stem = next(each for each in network.modules() if isinstance(each, torch.nn.Conv2d))
        stem.weight.data = stem.weight.data.flip(1)
    example = torch.zeros(1, 3, 64, 64)
    axes = {"image": {0: "n", 2: "h", 3: "w"}} | {name: {0: "n", 2: "h4", 3: "w4"} for name in ("score", "box")}
    torch.onnx.export(
        evenly_padded(Published(network).eval()),
        (example,),
        str(target),
        input_names=["image"],
        output_names=["score", "box"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(target)
    strides_padded_behind(model, "/context/")
    onnx.save(model, target)


def release(
    template: Path,
    repository: Path,
    first: Path | None,
    second: Path | None,
    threshold: float | None = None,
    version: int | None = None,
    odds: float = 1.0,
) -> Path:
    """A repository with a plate model alone, of the checkpoints of its networks; one without stays as it is.

    All but files, threshold and version is as in `template`'s plate model. Returns the model's file. The folder
    `repository`/plate can be put in place of the released one.
    """
    folder = repository / "plate"
    shutil.copytree(template / "plate" / "source", folder / "source", dirs_exist_ok=True)
    if first is not None:
        network_onnx(first, folder / platenet.SOURCE, odds)
    if second is not None:
        judge_onnx(second, folder / platenet.SECOND)
    content = platenet.from_folder(folder)
    description = json.loads((template / "plate" / "model.json").read_text(encoding="utf-8"))
    for kind in ForProcessors:
        description.pop(kind, None)  # `veil models calibrate` makes them of the new file
    description["sha256"] = hashlib.sha256(content).hexdigest()
    if threshold is not None:
        description["threshold"] = round(threshold, 3)
    if version is not None:
        description["version"] = str(version)
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    if (template / "plate" / "MODEL_CARD.md").is_file():
        shutil.copyfile(template / "plate" / "MODEL_CARD.md", folder / "MODEL_CARD.md")
    catalog = Catalog.read(repository)
    (spec,) = catalog.specs
    (folder / "config.pbtxt").write_text(triton_config(spec, TritonEngine.TENSORRT), encoding="utf-8")
    file = catalog.file(spec)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    asyncio.run(write_golden(Settings.load({}), catalog))
    return file
