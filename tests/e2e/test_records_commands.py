"""What an operator, a reviewer and a data-protection officer do with records: a real service, real commands."""

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.e2e.setups import encoded, portrait
from tests.isolation.namespaces import no_route_out
from tests.service_process import ROOT, ServiceProcess

pytestmark = pytest.mark.slow
JPEG = {"Content-Type": "image/jpeg"}
PERSON = "Jane Doe, case 7"


@pytest.fixture(scope="module")
def picture() -> bytes:
    return encoded(portrait(), "JPEG")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """With a signing key and a retention."""
    folder = tmp_path_factory.mktemp("records")
    key = folder / "signing.pem"
    subprocess.run([sys.executable, "-m", "service", "keys", "signing", "new", key], check=True, cwd=ROOT)
    environ = {
        "VEIL_SIGNING__KEY_FILE": str(key),
        "VEIL_RETENTION__RECEIPTS_DAYS": "30",
        "VEIL_RETENTION__DETECTIONS_DAYS": "7",
        "VEIL_RETENTION__EVERY_HOURS": "0.0002",
    }
    with ServiceProcess(folder, environ) as process:
        yield process


def post(service: ServiceProcess, picture: bytes, **query: str) -> httpx.Response:
    response = httpx.post(f"{service.url}/v1/anonymize", params=query, content=picture, headers=JPEG, timeout=60)
    assert response.status_code == 200
    return response


def run(service: ServiceProcess, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = service.run(*map(str, arguments))
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_private_key_is_its_owners_alone_and_never_overwritten(service: ServiceProcess, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    kid = run(service, "keys", "signing", "new", file).stdout.strip()
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    run(service, "keys", "signing", "new", file, code=1)
    assert file.read_text() == before
    assert json.loads(run(service, "keys", "signing", "export", "--from", file).stdout)["keys"][0]["kid"] == kid
    assert before not in service.text()


def test_verify_offline(service: ServiceProcess, picture: bytes, tmp_path: Path) -> None:
    """In a place of its own, with nothing but three files; then each of them with one changed byte."""
    response = post(service, picture)
    proof = httpx.get(f"{service.url}/v1/receipts/{response.headers['veil-receipt']}/proof")
    (tmp_path / "image.jpg").write_bytes(response.content)
    (tmp_path / "receipt.json").write_bytes(proof.content)
    (tmp_path / "veil-keys.json").write_bytes(httpx.get(f"{service.url}/.well-known/veil-keys.json").content)
    offline = no_route_out() or ()

    def verify(code: int) -> str:
        command = [*offline, sys.executable, "-m", "service", "verify", "image.jpg", "receipt.json"]
        environ = {"PATH": service.environ["PATH"], "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = verify(0)
    assert response.headers["veil-receipt"] in said
    assert "face/" in said
    for name, wrong in (("image.jpg", "SHA-256"), ("receipt.json", "receipt"), ("veil-keys.json", "key")):
        whole = (tmp_path / name).read_bytes()
        place = len(whole) // 2 if name != "veil-keys.json" else whole.index(b'"x":') + 6
        # In a key it has to stay a letter that a key may have.
        other = whole[place] ^ 1 if name != "veil-keys.json" else b"AB"[whole[place] == ord("A")]
        (tmp_path / name).write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        assert wrong in verify(1)
        (tmp_path / name).write_bytes(whole)
    verify(0)


def test_the_command_line_signs_too(service: ServiceProcess, picture: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture)
    run(service, "anonymize", tmp_path / "a.jpg", "-o", tmp_path / "out", "--proofs")
    (tmp_path / "keys.json").write_text(run(service, "keys", "signing", "export").stdout)
    out = tmp_path / "out"
    run(service, "verify", out / "a.jpg", out / "a.jpg.receipt.json", "--keys", tmp_path / "keys.json")
    run(service, "verify", tmp_path / "a.jpg", out / "a.jpg.receipt.json", "--keys", tmp_path / "keys.json", code=1)


class Text(HTMLParser):
    """The text of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "action")]
        self.loads += [tag] * (tag in ("script", "link", "iframe", "img"))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_and_erasure_of_a_reference(service: ServiceProcess, picture: bytes, tmp_path: Path) -> None:
    mine = [post(service, picture, source_ref=PERSON).headers["veil-receipt"] for _ in range(2)]
    nasty = post(service, picture, source_ref="<script>alert(1)</script>").headers["veil-receipt"]
    run(service, "report", "--source-ref", PERSON, "-o", tmp_path / "report")
    data = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (data["requests"], data["pictures"], data["signed"], data["objects"]["face"]) == (2, 2, 2, 2)
    assert [each["id"] for each in data["receipts"]] == mine[::-1]
    assert data["retention_days"] == {"receipts": 30, "detections": 7, "audit": None}
    page = Text()
    page.feed((tmp_path / "report" / "report.html").read_text())
    assert page.loads == []
    for shown in (PERSON, *mine, "30 days", "without a key", data["models"][0]["sha256"]):
        assert shown in page.text
    run(service, "report", "--from", "2020-01-01", "-o", tmp_path / "all")
    text = (tmp_path / "all" / "report.html").read_text()
    assert nasty in text
    assert "<script" not in text
    run(service, "report", code=2)

    assert "2 receipts" in run(service, "erase", "--source-ref", PERSON, "--dry-run").stdout
    run(service, "erase", "--source-ref", PERSON, code=1)  # nobody says yes
    assert "2 receipts removed" in run(service, "erase", "--source-ref", PERSON, "--yes").stdout
    assert "no receipt" in run(service, "erase", "--source-ref", PERSON, "--yes").stdout
    assert httpx.get(f"{service.url}/v1/receipts/{mine[0]}").status_code == 404
    assert httpx.get(f"{service.url}/v1/receipts/{nasty}").status_code == 200
    entries = httpx.get(f"{service.url}/v1/audit", params={"action": "receipts-erased"}).json()["entries"]
    assert [(each["actor"]["kind"], each["facts"]) for each in entries] == [("command line", {"receipts": 2})]
    assert "receipts-erased" in run(service, "audit").stdout


def test_the_reference_is_in_the_receipts_and_nowhere_else(service: ServiceProcess, picture: bytes) -> None:
    """Not in the log, the metrics or the audit, whatever is done with it."""
    reference = "Erika Mustermann"
    post(service, picture, source_ref=reference)
    httpx.get(f"{service.url}/v1/receipts", params={"source_ref": reference})
    httpx.get(f"{service.url}/v1/receipts/export", params={"source_ref": reference})
    run(service, "report", "--source-ref", reference, "-o", service.folder / "one")
    for name in ("one/report.html", "one/report.json"):
        (service.folder / name).unlink()
    with sqlite3.connect(service.folder / "veil.db") as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        columns = raw.execute("SELECT * FROM audit").fetchall()
        assert columns
        assert "Erika" not in str(columns)
        [(count,)] = raw.execute("SELECT count(*) FROM receipts WHERE source_ref = ?", (reference,)).fetchall()
    assert count == 1
    assert "Erika" not in service.text()
    assert "Erika" not in httpx.get(service.metrics_url).text
    run(service, "erase", "--source-ref", reference, "--yes")


def test_export(service: ServiceProcess, picture: bytes, tmp_path: Path) -> None:
    id = post(service, picture, source_ref="export").headers["veil-receipt"]
    [line] = run(service, "export", "--source-ref", "export").stdout.splitlines()
    assert json.loads(line) == httpx.get(f"{service.url}/v1/receipts/{id}").json()
    run(service, "export", "--format", "csv", "-o", tmp_path / "a.csv", "--source-ref", "export")
    [row] = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text()))
    assert row["id"] == id
    run(service, "export", "-o", tmp_path / "a.csv", code=1)
    run(service, "export", "--format", "xlsx", code=2)
    run(service, "export", "--from", "yesterday", code=2)


def test_quality_control(service: ServiceProcess, picture: bytes, tmp_path: Path) -> None:
    since = datetime.now(UTC)
    ids = {post(service, picture).headers["veil-receipt"] for _ in range(3)}
    period = ("--from", since.isoformat(), "--to", datetime.now(UTC).isoformat())
    drawn = run(service, "sample", *period, "--n", "2", "--seed", "7")
    again = run(service, "sample", *period, "--n", "2", "--seed", "7")
    assert drawn.stdout == again.stdout
    sample = re.search(r"sample ([0-9a-f]{16}): 2 of 3", drawn.stderr)
    assert sample
    chosen = httpx.get(f"{service.url}/v1/samples/{sample[1]}").json()["sample"]["receipts"]
    assert set(chosen) < ids
    for id in chosen:
        run(service, "verdict", sample[1], id, "--class", "face", "--seen", "1", "--missed", "0")
    run(service, "verdict", sample[1], chosen[0], "--class", "fase", "--seen", "1", "--missed", "0", code=2)
    run(service, "verdict", sample[1], chosen[0], "--class", "face", "--seen", "1", "--missed", "2", code=2)
    assert "0.2236" in run(service, "recall", sample[1]).stdout  # the square root of 0.05
    run(service, "report", *period, "-o", tmp_path)
    [quality] = json.loads((tmp_path / "report.json").read_text())["quality"]
    assert (quality["reviewed"], quality["drawn"], quality["population"]) == (2, 2, 3)
    assert "22.36 %" in (tmp_path / "report.html").read_text()


def test_the_service_purges_by_itself(service: ServiceProcess, picture: bytes) -> None:
    """Receipts that are too old go; of those that are a little old the boxes do; what is signed stays provable."""
    now = datetime.now(UTC)
    database = service.folder / "veil.db"

    def copy(days: int, id: str) -> None:
        """A receipt as it would be that many days later."""
        with sqlite3.connect(database, timeout=20) as raw:
            names = [row[1] for row in raw.execute("PRAGMA table_info(receipts)")]
            wanted = ", ".join({"id": "?", "received_at": "?"}.get(name, name) for name in names)
            at = f"{now - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}"
            raw.execute(
                f"INSERT INTO receipts SELECT {wanted} FROM receipts WHERE detections != '[]' LIMIT 1", (id, at)
            )

    post(service, picture)
    copy(31, "1" * 32)
    copy(8, "2" * 32)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with sqlite3.connect(database) as raw:
            rows = raw.execute(
                "SELECT id, detections, detections_digest FROM receipts WHERE id IN (?, ?)", ("1" * 32, "2" * 32)
            ).fetchall()
        if len(rows) == 1 and rows[0][1] is None:
            break
        time.sleep(0.1)
    assert [(row[0], row[1]) for row in rows] == [("2" * 32, None)]
    assert rows[0][2] is not None
    entries = httpx.get(f"{service.url}/v1/audit", params={"action": "purged"}).json()["entries"]
    assert {"receipts": 1} in [each["facts"] for each in entries]
    assert {"detections": 1} in [each["facts"] for each in entries]
    assert all(each["actor"]["kind"] == "service" for each in entries)
    assert '"purged"' in service.text() or "purged" in service.text()
    assert "would be removed" in run(service, "purge", "--dry-run").stdout


def test_a_change_of_retention_is_audited_at_the_next_start(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, {"VEIL_RETENTION__RECEIPTS_DAYS": "10"})
    for days in ("10", "20", None):
        if days is None:
            del service.environ["VEIL_RETENTION__RECEIPTS_DAYS"]
        else:
            service.environ["VEIL_RETENTION__RECEIPTS_DAYS"] = days
        with service:
            entries = httpx.get(f"{service.url}/v1/audit", params={"action": "retention-changed"}).json()["entries"]
    days = [(each["facts"]["receipts_days"], (each["facts"]["before"] or {}).get("receipts_days")) for each in entries]
    assert days == [(None, 20), (20, 10), (10, None)]


def test_doctor_says_what_is_not_signed_and_not_removed(service: ServiceProcess, tmp_path: Path) -> None:
    said = run(service, "doctor").stdout
    assert re.search(r"ok +signing: receipts are signed with the key [A-Za-z0-9_-]{43}", said)
    assert re.search(r"ok +retention: receipts 30 days, detections 7 days", said)
    other = ServiceProcess(tmp_path)
    (tmp_path / "wrong.pem").write_text("secret nonsense")
    said = other.run("doctor").stdout
    assert "receipts are not signed" in said
    assert "kept for good" in said
    other.environ["VEIL_SIGNING__KEY_FILE"] = str(tmp_path / "wrong.pem")
    done = other.run("doctor")
    assert done.returncode == 1
    assert "VEIL_SIGNING__KEY" in done.stdout
    refused = other.run("serve")
    assert refused.returncode == 2
    assert "nonsense" not in done.stdout + refused.stdout + refused.stderr


def test_an_id_may_begin_with_a_dash(tmp_path: Path) -> None:
    """One signing key in 64 has such an id, and it is no option."""
    ended = ServiceProcess(tmp_path).run("keys", "signing", "revoke", "-LnLbs55yoUvq")
    assert ended.returncode != 0
    assert "there is no signing key with this id" in ended.stderr


def test_rotation(picture: bytes, tmp_path: Path) -> None:
    """A new key and a restart: what the old one signed still verifies, until it is revoked."""
    keys = [tmp_path / "old.pem", tmp_path / "new.pem"]
    service = ServiceProcess(tmp_path)
    files = []
    for number, key in enumerate(keys):
        run(service, "keys", "signing", "new", key)
        service.environ["VEIL_SIGNING__KEY_FILE"] = str(key)
        with service:
            response = post(service, picture)
            proof = httpx.get(f"{service.url}/v1/receipts/{response.headers['veil-receipt']}/proof")
            files.append((tmp_path / f"{number}.jpg", tmp_path / f"{number}.json"))
            files[-1][0].write_bytes(response.content)
            files[-1][1].write_bytes(proof.content)
    published = tmp_path / "keys.json"
    published.write_text(run(service, "keys", "signing", "export").stdout)
    kids = [each["kid"] for each in json.loads(published.read_text())["keys"]]
    assert len(set(kids)) == 2
    for image, receipt in files:
        run(service, "verify", image, receipt, "--keys", published)
    run(service, "keys", "signing", "revoke", kids[1])
    assert re.search(f"{kids[1]}.*revoked", run(service, "keys", "signing", "list").stdout)
    published.write_text(run(service, "keys", "signing", "export").stdout)
    run(service, "verify", *files[1], "--keys", published)
    assert "revoked" in run(service, "verify", *files[0], "--keys", published, code=1).stderr
