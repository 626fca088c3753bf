"""Detectors in 8 bits for processors: made from committed ranges, chosen where they pay, proven like the others."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from typer.testing import CliRunner

from service.app.detectors import as_computed
from service.cli import main
from service.detection.processor import CPUINFO, multiplies_bytes
from service.models.build import build_models
from service.models.catalog import Catalog, ForProcessors, ModelError
from service.models.eight_bits import FILE, KINDS, Calibration, in_eight_bits
from service.models.golden import Golden
from service.models.variants import CONVOLUTIONS
from service.models.verify import sha256_of, verify_files
from service.settings import Settings
from tests.pictures import street

NAMES = ("face", "plate")
needs_vnni = pytest.mark.skipif(not multiplies_bytes(), reason="this processor has no VNNI: 8 bits saturate")


def silent(_: str) -> None: ...


def calibration(catalog: Catalog, name: str) -> Calibration:
    return Calibration.read(catalog.root / name / FILE)


@pytest.fixture
def repository(catalog: Catalog, tmp_path: Path) -> Path:
    """A copy of the repository, built."""
    return Path(shutil.copytree(catalog.root, tmp_path / "models"))


@pytest.mark.parametrize("name", NAMES)
def test_building_gives_the_very_bytes_of_the_catalog(repository: Path, name: str) -> None:
    reduced = Catalog.read(repository).for_processors(ForProcessors.INT8)
    spec = next(each for each in reduced.wanted if each.name == name)
    reduced.file(spec).unlink()
    (problem,) = verify_files(Catalog.read(repository))
    assert str(problem) == f"{spec.label}: the file is missing"
    told: list[str] = []
    build_models(repository, told.append)
    assert f"{spec.label} in 8 bits: building" in told
    assert sha256_of(reduced.file(spec)) == spec.sha256
    assert verify_files(Catalog.read(repository)) == []


@pytest.mark.parametrize("name", NAMES)
def test_all_but_the_answers_is_in_8_bits(catalog: Catalog, name: str) -> None:
    reduced = catalog.for_processors(ForProcessors.INT8)
    graph = onnx.load(next(reduced.file(each) for each in reduced.wanted if each.name == name)).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    whole = [node for node in convolutions if made_by.get(node.input[0]) != "DequantizeLinear"]
    paired = [node for node in convolutions if made_by.get(node.input[1]) == "DequantizeLinear"]
    assert len(paired) >= len(convolutions) - 4
    assert convolutions[0] in paired, "tiles have 8 bits"
    assert len(convolutions) > len(paired), "the last convolutions answer in single precision"
    assert not {node.name for node in whole} & {node.name for node in paired}
    assert set(CONVOLUTIONS) < set(KINDS)


@needs_vnni
@pytest.mark.parametrize("name", NAMES)
def test_the_object_is_found_where_it_was(catalog: Catalog, name: str) -> None:
    answers = []
    for each in (catalog, catalog.for_processors(ForProcessors.INT8)):
        file = next(each.file(spec) for spec in each.specs if spec.name == name)
        session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        boxes, scores = session.run(["boxes", "scores"], {"tiles": street()[None]})
        answers.append((boxes[0, 0], float(scores[0, 0])))
    (box, score), (reduced, answered) = answers
    assert answered == pytest.approx(score, abs=0.03)
    assert np.abs(box - reduced).max() < 4


def test_files_in_8_bits_have_checksum_file_and_golden_answers_of_their_own(catalog: Catalog) -> None:
    reduced = catalog.for_processors(ForProcessors.INT8)
    assert reduced.files == dict.fromkeys((spec.label for spec in catalog.wanted), ForProcessors.INT8)
    for whole, spec in zip(catalog.wanted, reduced.wanted, strict=True):
        assert (spec.label, spec.sha256) == (whole.label, whole.int8)
        assert reduced.file(spec) != catalog.file(whole)
        golden = Golden.read(reduced, spec)
        assert golden is not None
        assert golden.sha256 == spec.sha256


FLAGS = "processor : {}\nflags\t\t: fpu sse4_2 avx2 {}\n"


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(["avx512_vnni"], True), (["avx_vnni", "avx_vnni"], True), (["avx_vnni", ""], False), ([], False)],
)
def test_a_processor_is_known_by_its_flags(tmp_path: Path, cores: list[str], expected: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("".join(FLAGS.format(k, flag) for k, flag in enumerate(cores)))
    assert multiplies_bytes(file) is expected
    assert not multiplies_bytes(tmp_path / "missing")


@pytest.mark.parametrize(
    ("variables", "reduced"),
    [
        ({}, None),
        ({"VEIL_DETECTION__PRECISION": "fp32"}, False),
        ({"VEIL_DETECTION__PRECISION": "int8"}, True),
        ({"VEIL_DETECTION__PRECISION": "int8", "VEIL_DETECTION__ENGINE": "triton"}, False),
    ],
)
def test_the_engine_takes_8_bits_where_they_pay(
    catalog: Catalog, variables: dict[str, str], reduced: bool | None
) -> None:
    expected = multiplies_bytes(CPUINFO) if reduced is None else reduced
    files = as_computed(Settings.load(variables), catalog).files
    assert (ForProcessors.INT8 in files.values()) is expected
    detectors = {spec.label for spec in catalog.specs}
    assert detectors <= set(files) or ("VEIL_DETECTION__ENGINE" in variables and not files)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_doctor_says_which_file_answers(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VEIL_MODELS__REPOSITORY", str(catalog.root))
    monkeypatch.setenv("VEIL_DETECTION__PRECISION", precision)
    said = CliRunner().invoke(main, ["doctor"]).output
    kind = " in 8 bits" if precision == "int8" else ""
    assert f"face/1{kind} matches its checksum, plate/5{kind} matches its checksum, gate/2{kind} matches" in said


def test_a_calibration_of_another_network_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    face = next(catalog.file(spec) for spec in catalog.specs if spec.name == "face").read_bytes()
    with pytest.raises(ModelError, match="another network"):
        in_eight_bits(face, calibration(catalog, "plate"))
    own = calibration(catalog, "face")
    with pytest.raises(ModelError, match="another network"):
        in_eight_bits(face, Calibration({}, own.ranges))
    kept = (catalog.root / "face" / FILE).read_bytes()
    (tmp_path / "other").write_bytes(b"PK")
    (tmp_path / "cut").write_bytes(kept[:5000])
    (tmp_path / "damaged").write_bytes(kept[:5000] + bytes(100) + kept[5100:])
    for missing in ("other", "cut", "damaged", "missing"):
        with pytest.raises(ModelError, match="veil models calibrate"):
            Calibration.read(tmp_path / missing)


def test_a_detector_is_calibrated_anew(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_MODELS__REPOSITORY", str(repository))
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "street.png"), street()[..., ::-1])
    before = json.loads((repository / "plate/model.json").read_text())
    arguments = ["models", "calibrate", str(tmp_path / "pictures"), "--model", "plate"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    after = json.loads((repository / "plate/model.json").read_text())
    assert after["int8"] in done.output
    assert after["int8"] != before["int8"]
    assert {**after, "int8": None} == {**before, "int8": None}
    assert verify_files(Catalog.read(repository)) == []
    unknown = CliRunner().invoke(main, [*arguments[:3], "--model", "dog"])
    assert unknown.exit_code == 2
    assert "has no dog" in unknown.output
    (tmp_path / "none").mkdir()
    empty = CliRunner().invoke(main, ["models", "calibrate", str(tmp_path / "none"), "--model", "plate"])
    assert empty.exit_code == 2
    assert "no picture" in empty.output
    assert json.loads((repository / "plate/model.json").read_text()) == after
