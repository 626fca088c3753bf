import asyncio

import httpx

from service.api.health import Readiness
from service.errors import DetectorContractBroken, RecordStoreUnavailable
from tests.unit.api.rig import Rig


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_it_lives(client: httpx.AsyncClient) -> None:
    response = await client.get("/livez")
    assert (response.status_code, response.json()["status"]) == (200, "live")


async def test_it_is_ready_when_every_part_is(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200
    ready = {"status": "ready", "reason": None}
    assert response.json() == {"status": "ready", "components": {"database": ready, "face": ready, "plate": ready}}


async def test_the_part_that_is_not_ready_says_why(rig: Rig) -> None:
    rig.plate.failure = DetectorContractBroken(cause="checksum ab12 at 10.0.0.7")
    async with rig.client() as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    components = response.json()["components"]
    assert components["plate"] == {"status": "not ready", "reason": DetectorContractBroken.default_detail}
    assert components["face"]["status"] == components["database"]["status"] == "ready"
    assert "10.0.0.7" not in response.text


async def test_a_lost_database_is_named(rig: Rig) -> None:
    async def lost() -> None:
        raise RecordStoreUnavailable

    async with rig.client(rig.app(check_database=lost)) as client:
        components = (await client.get("/readyz")).json()["components"]
    assert components["database"]["status"] == "not ready"


async def test_a_part_that_does_not_answer_is_not_ready(rig: Rig, monkeypatch: object) -> None:
    from service.api import health

    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)  # type: ignore[attr-defined]
    async with rig.client(rig.app(check_database=hang, check_detectors=hang)) as client:
        response = await client.get("/readyz")
    assert {each["status"] for each in response.json()["components"].values()} == {"not ready"}
    assert set(response.json()["components"]) == {"database", "face", "plate"}


async def test_it_is_not_ready_while_it_drains(rig: Rig) -> None:
    async with rig.client() as client:
        assert (await client.get("/readyz")).status_code == 200
        rig.services.draining.set()
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["components"]["server"]["status"] == "not ready"


async def test_many_probes_ask_the_parts_once_a_second(rig: Rig) -> None:
    clock = Clock()
    readiness = Readiness(rig.services, clock)
    await asyncio.gather(*(readiness.now() for _ in range(50)))
    assert rig.face.checks == 1
    clock.now += 0.99
    await readiness.now()
    assert rig.face.checks == 1
    clock.now += 0.02
    await readiness.now()
    assert rig.face.checks == 2
