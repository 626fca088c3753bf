"""The engine builder's script around TensorRT: what is built again, what is not, and what a failure leaves.

trtexec and nvidia-smi need a GPU; small programs of the same interface stand in for them here.
"""

import os
import subprocess
from pathlib import Path

import pytest

from service.models.catalog import Catalog
from service.models.export import export_repository
from tests.deploy.compose_files import ROOT

SCRIPT = ROOT / "deploy" / "engine-builder" / "build.sh"
TRTEXEC = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
for argument; do case $argument in --onnx=*) onnx=${argument#*=} ;; --saveEngine=*) plan=${argument#*=} ;; esac; done
echo half > "$plan"
[ ! -e "$BROKEN" ] || { echo "unsupported operator" >&2; exit 1; }
{ echo plan; sha256sum < "$onnx"; } > "$plan"
"""


class Builder:
    """A volume, and the two programs that stand in."""

    def __init__(self, folder: Path) -> None:
        self.engines = folder / "engines"
        self.engines.mkdir()
        self.calls = folder / "calls"
        self.broken = folder / "broken"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.program("trtexec", TRTEXEC)
        self.gpu("NVIDIA L4, 8.9")
        self.catalog = Catalog.read(ROOT / "model_repository")

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text, encoding="utf-8")
        (self.programs / name).chmod(0o755)

    def gpu(self, name: str) -> None:
        self.program("nvidia-smi", f"#!/bin/sh\necho '{name}'\n")

    def export(self, engine: str = "tensorrt") -> None:
        export_repository(self.catalog, self.engines / "source", engine)

    def build(self, engine: str = "tensorrt", image: str = "triton@sha256:1") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(SCRIPT)],
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}:/usr/sbin:/sbin",
                "ENGINES": str(self.engines),
                "ENGINE": engine,
                "IMAGE": image,
                "CALLS": str(self.calls),
                "BROKEN": str(self.broken),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def built(self, image: str = "triton@sha256:1") -> list[str]:
        """Exports and builds; the calls of trtexec that it took."""
        self.calls.unlink(missing_ok=True)
        self.export()
        done = self.build(image=image)
        assert done.returncode == 0, done.stderr
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []

    def served(self) -> dict[str, bytes]:
        """What Triton would read: path -> content."""
        current = (self.engines / "current").resolve()
        return {
            str(each.relative_to(current)): each.read_bytes() for each in sorted(current.rglob("*")) if each.is_file()
        }

    def leftovers(self) -> list[str]:
        return [each.name for each in self.engines.iterdir() if each.name.startswith(".partial")]


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_each_model_becomes_a_plan_with_the_shapes_of_its_configuration(builder: Builder) -> None:
    calls = builder.built()
    assert len(calls) == len(builder.catalog.specs)
    for spec in builder.catalog.specs:
        size = f"{spec.tile_height}x{spec.tile_width}x3"
        call = next(each for each in calls if f"/{spec.name}/" in each)
        assert f"--minShapes=tiles:1x{size} " in call
        assert f"--maxShapes=tiles:{spec.max_batch}x{size}" in call
    assert set(builder.served()) == {
        f"{spec.name}/{file}"
        for spec in builder.catalog.specs
        for file in ("config.pbtxt", f"{spec.version}/model.plan")
    }
    assert not (builder.engines / "source").exists()


def test_what_was_built_is_taken_again(builder: Builder) -> None:
    builder.built()
    before = builder.served()
    assert builder.built() == []
    assert builder.served() == before


@pytest.mark.parametrize("change", ["gpu", "image"])
def test_another_gpu_or_image_needs_new_plans(builder: Builder, change: str) -> None:
    builder.built()
    if change == "gpu":
        builder.gpu("NVIDIA H200, 9.0")
        assert len(builder.built()) == len(builder.catalog.specs)
    else:
        assert len(builder.built(image="triton@sha256:2")) == len(builder.catalog.specs)
    assert len([*(builder.engines / "plans").iterdir()]) == len(builder.catalog.specs)


def test_another_file_needs_a_new_plan_for_that_model_only(builder: Builder) -> None:
    builder.built()
    builder.calls.unlink()
    builder.export()
    with (builder.engines / "source" / "plate" / "5" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    assert builder.build().returncode == 0
    calls = builder.calls.read_text(encoding="utf-8").splitlines()
    assert len(calls) == 1
    assert "/plate/" in calls[0]


def test_a_failure_leaves_what_is_served_as_it_was(builder: Builder) -> None:
    builder.built()
    before, current = builder.served(), (builder.engines / "current").readlink()
    builder.gpu("NVIDIA H200, 9.0")
    builder.broken.touch()
    builder.export()
    failed = builder.build()
    assert failed.returncode != 0
    assert "TensorRT refused" in failed.stderr
    assert (builder.served(), (builder.engines / "current").readlink()) == (before, current)
    assert builder.leftovers() == []
    assert not any(each.read_bytes() == b"half\n" for each in (builder.engines / "plans").iterdir())

    builder.broken.unlink()
    assert len(builder.built()) == len(builder.catalog.specs)


def test_without_a_gpu_it_says_so(builder: Builder) -> None:
    builder.program("nvidia-smi", "#!/bin/sh\nexit 9\n")
    builder.export()
    failed = builder.build()
    assert failed.returncode != 0
    assert "no GPU" in failed.stderr
    assert "compose.cpu.yml" in failed.stderr


def test_without_exported_models_it_says_so(builder: Builder) -> None:
    failed = builder.build()
    assert failed.returncode != 0
    assert "no exported models" in failed.stderr


def test_other_engines_serve_the_onnx_files_themselves(builder: Builder) -> None:
    builder.export("onnxruntime")
    assert builder.build("onnxruntime").returncode == 0
    assert not builder.calls.exists()
    assert set(builder.served()) == {
        f"{spec.name}/{file}"
        for spec in builder.catalog.specs
        for file in ("config.pbtxt", f"{spec.version}/model.onnx")
    }


def test_only_the_release_before_is_kept(builder: Builder) -> None:
    for _ in range(4):
        builder.built()
    assert len([each for each in builder.engines.iterdir() if each.name.startswith("release-")]) == 2
