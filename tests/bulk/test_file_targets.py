import stat
from pathlib import Path

import pytest

from service.app.failure import StartError
from service.bulk.files import plan
from service.bulk.stores import Folder
from service.policy import OutputFormat


def test_results_keep_their_names_and_take_the_new_format(tmp_path: Path) -> None:
    sources = [tmp_path / "a.jpg", tmp_path / "b.tif"]
    assert [t.name for _, t in plan(sources, tmp_path / "out", OutputFormat.SAME)] == ["a.jpg", "b.tif"]
    assert [t.name for _, t in plan(sources, tmp_path / "out", OutputFormat.PNG)] == ["a.png", "b.png"]


def test_no_result_overwrites_its_source_or_another_result(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="overwritten by its own result"):
        plan([tmp_path / "a.jpg"], tmp_path, OutputFormat.SAME)
    with pytest.raises(StartError, match="would both become"):
        plan([tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.jpg"], tmp_path / "out", OutputFormat.SAME)
    with pytest.raises(StartError, match="would both become"):
        plan([tmp_path / "a.jpg", tmp_path / "a.png"], tmp_path / "out", OutputFormat.WEBP)


def test_a_result_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    staged = folder.stage("deep/a.jpg", b"whole")
    assert folder.size("deep/a.jpg") is None
    staged.publish()
    target = tmp_path / "deep" / "a.jpg"
    assert target.read_bytes() == b"whole"
    assert stat.S_IMODE(target.stat().st_mode) & 0o600 == 0o600
    assert list(target.parent.iterdir()) == [target]
