"""What a real tritonserver does wrong, or is made to do wrong, and which of our errors that is."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from service.detection.detector import SOON
from service.detection.triton import TritonDetector, connect
from service.errors import DetectionFailed, DetectorContractBroken, DetectorTimeout, DetectorUnavailable
from service.models.catalog import Catalog, ModelSpec
from service.models.export import export_repository
from service.models.triton_config import TritonEngine, triton_config
from tests.toy import NOT_FINITE, RISING, SWAPPED, toy_spec, write_toy
from tests.triton.server import TritonProcess

SLOW_SECONDS = 3

SLOW = f"""

class TritonPythonModel(TritonPythonModel):
    def execute(self, requests):
        import time
        time.sleep({SLOW_SECONDS})
        return super().execute(requests)
"""

RAISING = """

class TritonPythonModel(TritonPythonModel):
    def execute(self, requests):
        raise RuntimeError("out of everything")
"""

SHORT = """

class TritonPythonModel(TritonPythonModel):
    def _answer(self, request):
        return pb_utils.InferenceResponse([_tensor("boxes", np.zeros((1, 5, 4), np.float32)),
                                           _tensor("scores", np.zeros((1, 5), np.float32))])
"""

Make = Callable[[str], TritonDetector]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Toy models: good ones, and ones that break the contract each in its way."""
    root = tmp_path_factory.mktemp("catalog")
    graphs: dict[str, dict[str, Any]] = {"nan": NOT_FINITE, "swapped": SWAPPED, "rising": RISING}
    names = ["good", "slow", "raising", "short", "queue", "renamed", "small", "stranger", *graphs]
    return Catalog(root, [write_toy(root, name, **graphs.get(name, {})) for name in names])


@pytest.fixture(scope="module")
def specs(toys: Catalog) -> dict[str, ModelSpec]:
    return {spec.name: spec for spec in toys.specs}


@pytest.fixture(scope="module")
def repository(toys: Catalog, specs: dict[str, ModelSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toys as Triton serves them, and what only a server can get wrong."""
    target = tmp_path_factory.mktemp("repository")
    export_repository(toys, target, "python")

    def change(name: str, old: str, new: str) -> None:
        file = target / name / "config.pbtxt"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    for name, code in (("slow", SLOW), ("queue", SLOW), ("raising", RAISING), ("short", SHORT)):
        with (target / name / "1" / "model.py").open("a") as file:
            file.write(code)
    change("queue", "max_queue_size: 256", "max_queue_size: 1")
    change("small", "max_batch_size: 4", "max_batch_size: 2")
    change("stranger", specs["stranger"].sha256, "0" * 64)
    change("renamed", '"scores"', '"confidences"')
    backend = target / "renamed" / "1" / "model.py"
    backend.write_text(backend.read_text().replace("self._session.run(self._outputs,", "self._session.run(None,"))
    return target


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    with TritonProcess(tmp_path_factory.mktemp("odd-triton"), repository=repository) as process:
        yield process


@pytest.fixture
async def client(server: TritonProcess) -> AsyncIterator[InferenceServerClient]:
    client = connect(server.url)
    yield client
    await client.close()


@pytest.fixture
def make(client: InferenceServerClient, specs: dict[str, ModelSpec]) -> Make:
    return lambda name: TritonDetector(specs.get(name) or toy_spec(name), client, timeout=20)


def tiles(count: int = 1) -> np.ndarray:
    made = np.zeros((count, 64, 64, 3), np.uint8)
    made[:, 8:12, 8:12, 0] = 255
    return made


async def failure(work: Any) -> DetectionFailed:
    with pytest.raises(DetectionFailed) as caught:
        await work
    assert caught.value.detail == type(caught.value).default_detail
    return caught.value


async def test_a_good_model_answers(make: Make) -> None:
    detector = make("good")
    await detector.check()
    answer = await detector.detect(tiles(4))
    assert answer.boxes[:, 0].tolist() == [[4, 4, 16, 16]] * 4


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("nan", "not finite"),
        ("swapped", "corners swapped"),
        ("rising", "scores rise"),
        ("short", "(1, 5, 4), not float32 (1, 8, 4)"),
        ("renamed", "INVALID_ARGUMENT"),
    ],
)
async def test_an_answer_that_breaks_the_contract(make: Make, name: str, cause: str) -> None:
    error = await failure(make(name).detect(tiles()))
    assert isinstance(error, DetectorContractBroken)
    assert cause in (error.cause or "")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("renamed", "outputs on Triton are"),
        ("small", "takes 2 tiles at once, not 4"),
        ("stranger", "made from the file 0000"),
    ],
)
async def test_check_sees_another_model_than_the_catalogs(make: Make, name: str, cause: str) -> None:
    error = await failure(make(name).check())
    assert isinstance(error, DetectorContractBroken)
    assert cause in (error.cause or "")


async def test_a_batch_that_the_server_does_not_take(make: Make) -> None:
    await make("small").detect(tiles(2))
    error = await failure(make("small").detect(tiles(4)))
    assert isinstance(error, DetectorContractBroken)
    assert "INVALID_ARGUMENT" in (error.cause or "")


@pytest.mark.parametrize("question", ["detect", "check"])
async def test_a_model_that_is_not_there(make: Make, question: str) -> None:
    detector = make("absent")
    error = await failure(detector.detect(tiles()) if question == "detect" else detector.check())
    assert isinstance(error, DetectorUnavailable)
    assert "NOT_FOUND" in (error.cause or "")
    assert error.retry_after


async def test_a_model_that_raises(make: Make) -> None:
    error = await failure(make("raising").detect(tiles()))
    assert isinstance(error, DetectorUnavailable)
    assert "out of everything" in (error.cause or "")


async def test_a_model_that_is_too_slow(client: InferenceServerClient, specs: dict[str, ModelSpec]) -> None:
    began = time.monotonic()
    error = await failure(TritonDetector(specs["slow"], client, timeout=0.5).detect(tiles()))
    assert isinstance(error, DetectorTimeout)
    assert 0.4 < time.monotonic() - began < SLOW_SECONDS - 1


async def test_a_full_queue_asks_to_come_back_soon(make: Make) -> None:
    answers = await asyncio.gather(*(make("queue").detect(tiles()) for _ in range(6)), return_exceptions=True)
    refused = [each for each in answers if isinstance(each, DetectorUnavailable)]
    assert refused
    assert {each.retry_after for each in refused} == {SOON}
    assert all(not isinstance(each, BaseException) for each in answers if each not in refused)
    assert len(refused) < len(answers)


async def test_cancelling_leaves_the_connection_usable(make: Make) -> None:
    request = asyncio.create_task(make("slow").detect(tiles()))
    await asyncio.sleep(0.2)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await make("good").detect(tiles())


@pytest.fixture
def own_server(repository: Path, tmp_path: Path) -> Iterator[TritonProcess]:
    """A server that the test may kill."""
    models = tmp_path / "models"
    for name in ("good", "slow"):
        shutil.copytree(repository / name, models / name)
    with TritonProcess(tmp_path / "server", repository=models) as process:
        yield process


async def test_killed_during_a_request_and_started_again(
    own_server: TritonProcess, specs: dict[str, ModelSpec]
) -> None:
    client = connect(own_server.url)
    good, slow = (TritonDetector(specs[name], client, timeout=20) for name in ("good", "slow"))
    await good.detect(tiles())
    running = asyncio.create_task(slow.detect(tiles()))
    await asyncio.sleep(0.3)
    assert not running.done()
    began = time.monotonic()
    own_server.kill()
    error = await failure(running)
    assert isinstance(error, DetectorUnavailable)
    assert error.retry_after
    assert time.monotonic() - began < 2
    for question in (good.detect(tiles()), good.check()):
        began = time.monotonic()
        assert isinstance(await failure(question), DetectorUnavailable)
        assert time.monotonic() - began < 2
    await asyncio.to_thread(own_server.start)
    began = time.monotonic()
    while True:
        try:
            await good.check()
            await good.detect(tiles())
            break
        except DetectorUnavailable:
            assert time.monotonic() - began < 1, "no recovery within a second, by the same client"
            await asyncio.sleep(0.02)
    await client.close()


async def test_a_server_that_is_gone_is_looked_for_twice_a_second(specs: dict[str, ModelSpec]) -> None:
    """gRPC's own defaults wait 1.0, 1.6, 2.6, … seconds before they look again."""
    attempts: list[float] = []

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        attempts.append(time.monotonic())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        client = connect(f"127.0.0.1:{port}")
        detector = TritonDetector(specs["good"], client, timeout=10)
        began = time.monotonic()
        while time.monotonic() - began < 3:
            assert isinstance(await failure(detector.detect(tiles())), DetectorUnavailable)
            await asyncio.sleep(0.02)
        await client.close()
    assert np.diff([*attempts, time.monotonic()]).max() < 0.9


async def test_a_server_that_hangs(own_server: TritonProcess, specs: dict[str, ModelSpec]) -> None:
    client = connect(own_server.url)
    good = TritonDetector(specs["good"], client, timeout=1)
    await good.detect(tiles())
    own_server.pause()
    try:
        for question in (good.detect(tiles()), good.check()):
            began = time.monotonic()
            assert isinstance(await failure(question), DetectorTimeout)
            assert time.monotonic() - began < 3
    finally:
        own_server.resume()
    await answers_again(good)
    await client.close()


async def answers_again(detector: TritonDetector) -> None:
    """Returns once `detector` answers; a hang that was long enough closed its connection, and it makes a new one."""
    deadline = time.monotonic() + 10
    while True:
        try:
            await detector.detect(tiles())
        except DetectorUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def test_nobody_listens(specs: dict[str, ModelSpec]) -> None:
    client = connect("127.0.0.1:9")
    error = await failure(TritonDetector(specs["good"], client, timeout=10).detect(tiles()))
    assert isinstance(error, DetectorUnavailable)
    await client.close()


@pytest.mark.parametrize("engine", [TritonEngine.TENSORRT, TritonEngine.ONNXRUNTIME])
async def test_a_real_server_reads_the_configuration_of_each_engine(
    engine: TritonEngine, catalog: Catalog, tmp_path: Path
) -> None:
    """This server has only the python backend: it must get as far as looking for the other one."""
    models = tmp_path / "models"
    shutil.copytree(catalog.root, models)
    for spec in catalog.specs:
        (models / spec.name / "config.pbtxt").write_text(triton_config(spec, engine))
    with TritonProcess(tmp_path / "server", repository=models, arguments=()) as server:
        client = connect(server.url)
        for spec in catalog.specs:
            with pytest.raises(InferenceServerException) as caught:
                await client.load_model(spec.name)
            assert f"unable to find backend library for backend '{engine}'" in str(caught.value)
        await client.close()
