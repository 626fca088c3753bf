"""`veil inspect`: what it shows, and what its exit code says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import main
from tests.images import leaky_jpeg, picture, with_pillow

PIXELS = picture(48, 64, 3)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    clean, leaky, none = tmp_path / "clean.jpg", tmp_path / "leaky.jpg", tmp_path / "none.jpg"
    clean.write_bytes(with_pillow(PIXELS, "JPEG"))
    leaky.write_bytes(leaky_jpeg(PIXELS))
    none.write_bytes(b"no picture")
    return clean, leaky, none


def test_a_clean_file(files: tuple[Path, Path, Path]) -> None:
    result = CliRunner().invoke(main, ["inspect", str(files[0])])
    assert result.exit_code == 0
    assert "nothing that Veil would not write" in result.output


def test_a_file_with_more_in_it(files: tuple[Path, Path, Path]) -> None:
    result = CliRunner().invoke(main, ["inspect", *map(str, files[:2])], env={"COLUMNS": "160"})
    assert result.exit_code == 1
    for text in ("MakerNote", "trailer", "extended XMP", "looks like JPEG"):
        assert text in result.output


def test_as_json(files: tuple[Path, Path, Path]) -> None:
    result = CliRunner().invoke(main, ["inspect", "--json", *map(str, files)])
    assert result.exit_code == 1
    clean, leaky, none = json.loads(result.output)
    assert (clean["clean"], clean["format"], clean["parts"][0]["name"]) == (True, "jpeg", "SOI")
    assert not leaky["clean"]
    assert {"at", "size", "name", "fate", "what", "depth", "embedded", "suspicious"} == leaky["parts"][0].keys()
    assert none["error"] == "unsupported-format"


def test_values_are_not_shown(files: tuple[Path, Path, Path]) -> None:
    result = CliRunner().invoke(main, ["inspect", "--json", str(files[1])])
    assert "serial" not in result.output
    assert "LEAKED owner" not in result.output
