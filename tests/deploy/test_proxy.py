"""The configurations of deploy/proxy with a real Caddy before real services: pictures go through, nothing is kept."""

import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from benchmarks.load import Load, picture, stored
from service.records.migrations import head
from tests.deploy.caddy import CADDY, REASON, caddy
from tests.deploy.compose_files import ROOT, Reset
from tests.deploy.compose_files import load as read_compose
from tests.e2e.setups import encoded, portrait
from tests.e2e.test_load_and_leaving import wait_for
from tests.postgres.server import PostgresProcess
from tests.service_process import ServiceProcess

COMPOSE = ROOT / "deploy" / "compose.proxy.yml"
needs_caddy = pytest.mark.skipif(CADDY is None, reason=REASON)


def test_the_proxy_is_held_down_and_the_only_one_that_is_published() -> None:
    services = read_compose(COMPOSE)["services"]
    proxy = services["proxy"]
    assert proxy["read_only"] is True
    assert proxy["cap_drop"] == ["ALL"]
    assert proxy["security_opt"] == ["no-new-privileges:true"]
    assert proxy["mem_limit"]
    assert proxy["pids_limit"]
    assert proxy["networks"] == ["edge"]
    assert isinstance(services["veil"]["ports"], Reset)


@pytest.mark.slow
@pytest.mark.timeout(180)
@needs_caddy
def test_a_picture_goes_through_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    body = encoded(portrait(), "PNG")
    with (
        ServiceProcess(tmp_path / "service") as service,
        caddy(tmp_path, "Caddyfile", UPSTREAM=urlsplit(service.url).netloc) as proxy,
        httpx.Client(base_url=proxy.url, verify=proxy.context, timeout=60) as client,
    ):
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        done = client.post(
            "/v1/anonymize", content=body, headers={"Content-Type": "image/png"}, params={"source_ref": "run-7"}
        )
        assert done.status_code == 200, done.text
        direct = httpx.get(f"{service.url}/v1/receipts/{done.headers['veil-receipt']}", timeout=10).json()
        assert direct["output"]["bytes"] == len(done.content)
        assert client.post("/v1/anonymize", content=b"", headers={"Content-Type": "image/png"}).status_code == 422
        added = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.name.partition("-")[0] for path in added} <= {"veil.db"}
    written = proxy.log.read_text()
    assert "run-7" not in written
    assert "remote_ip" not in written


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_caddy
def test_replicas_are_restarted_one_by_one_without_a_failed_request(
    postgres_process: PostgresProcess, tmp_path: Path
) -> None:
    """Two replicas on one PostgreSQL, each stopped and started again while pictures keep coming.

    The first that is exchanged brings a newer schema of its generation, as an upgrade does.
    """
    database = postgres_process.create_database("rolling")
    environ = {
        "VEIL_DATABASE__URL": database,
        "VEIL_SERVER__DRAIN_DELAY": "5",
        "VEIL_DEFAULTS__EFFORT": "fast",
        "VEIL_ADMISSION__QUEUE": "32",
    }
    replicas = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        replicas.append(ServiceProcess(tmp_path / name, {**environ, "VEIL_SERVER__PORT": port}))
    try:
        upstreams = " ".join(urlsplit(replica.start().url).netloc for replica in replicas)
        pictures = (picture(640, 480, "JPEG"), picture(640, 480, "PNG"))
        with caddy(tmp_path, "replicas.Caddyfile", UPSTREAMS=upstreams) as proxy:
            load = Load(lambda: proxy.url, pictures, 3, source_ref="rolling", verify=proxy.context)
            with load:
                wait_for(partial(more_than, load, 6))
                for replica in replicas:
                    assert replica.stop() == 0
                    alone = len(load.answers)
                    wait_for(partial(more_than, load, alone + 3))
                    upgrade(database)
                    replica.start()
                    wait_for(partial(used, replica), seconds=60)
        assert set(load.statuses()) == {"200"}, load.statuses()
        assert all(answer.hidden for answer in load.answers)
        assert sorted(load.receipts()) == sorted(stored(replicas[0].url, source_ref="rolling"))
    finally:
        for replica in replicas:
            replica.kill()


def upgrade(database: str) -> None:
    """What a newer version of the same generation does to the schema when it starts."""
    newer = f"{int(head()) + 1:04d}"
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE receipts ADD COLUMN IF NOT EXISTS of_tomorrow text")
        connection.execute("UPDATE alembic_version SET version_num = %s", (newer,))


def more_than(load: Load, count: int) -> bool:
    return len(load.answers) > count


def used(replica: ServiceProcess) -> bool:
    """Whether pictures reach it since its start."""
    text = httpx.get(replica.metrics_url, timeout=10).text
    return any('route="/v1/anonymize"' in line and 'status="200"' in line for line in text.splitlines())
