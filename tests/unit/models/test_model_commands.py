"""`veil models variants`: a repository for each precision, ready to be evaluated, exported and proven."""

from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from service.cli import main
from service.models.catalog import Catalog
from service.models.golden import Golden
from tests.pictures import street


@pytest.fixture(autouse=True)
def repository(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEIL_MODELS__REPOSITORY", str(catalog.root))


def test_a_variant_has_its_checksums_and_golden_answers(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["models", "variants", str(tmp_path), "--precision", "fp16"])
    assert done.exit_code == 0, done.output
    made = Catalog.read(tmp_path / "fp16")
    for spec in made.specs:
        assert f"fp16  {spec.label}  {spec.sha256}" in done.output
        golden = Golden.read(made, spec)
        assert golden is not None
        assert golden.sha256 == spec.sha256


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--precision", "int8"], "--pictures"), (["--precision", "fp8"], "fp32, fp16, int8")]
)
def test_what_cannot_be_made_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["models", "variants", str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert said in done.output
    assert not list(tmp_path.iterdir())


def test_8_bits_are_calibrated_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "street.png"), street()[..., ::-1])
    arguments = ["--precision", "int8", "--pictures", str(tmp_path / "pictures"), "--most", "1"]
    done = CliRunner().invoke(main, ["models", "variants", str(tmp_path / "out"), *arguments])
    assert done.exit_code == 0, done.output
    assert [spec.label for spec in Catalog.read(tmp_path / "out" / "int8").specs] == ["face/1", "plate/5"]
