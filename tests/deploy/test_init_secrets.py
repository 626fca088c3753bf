"""deploy/init-secrets.sh: made once, closed to others, and the same password on both sides."""

import stat
import subprocess
from pathlib import Path

from service.settings import Settings
from tests.deploy.compose_files import MAIN, MONITORING, ROOT, load


def run(folder: Path) -> str:
    script = ROOT / "deploy" / "init-secrets.sh"
    return subprocess.run(["bash", str(script), str(folder)], check=True, capture_output=True, text=True).stdout


def test_it_makes_every_secret_that_the_compose_files_mount(tmp_path: Path) -> None:
    said = run(tmp_path / "secrets")
    made = {each.name: each.read_text(encoding="ascii").strip() for each in (tmp_path / "secrets").iterdir()}
    mounted = {**load(MAIN)["secrets"], **load(MONITORING)["secrets"]}
    assert {Path(each["file"]).name for each in mounted.values()} == set(made)
    assert len(set(made.values())) == len(made)
    assert made["database_url.txt"] == f"postgresql://veil:{made['postgres_password.txt']}@postgres/veil"
    assert not any(value in said for value in made.values())

    url = {"VEIL_DATABASE__URL_FILE": str(tmp_path / "secrets" / "database_url.txt")}
    assert Settings.load(url).database.url.get_secret_value() == made["database_url.txt"]


def test_the_folder_is_closed_and_the_files_are_readable_inside(tmp_path: Path) -> None:
    run(tmp_path / "secrets")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "secrets").iterdir()} == {0o444}


def test_a_second_run_changes_nothing_and_fills_in_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    run(folder)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    run(folder)
    (folder / "database_url.txt").unlink()
    run(folder)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
