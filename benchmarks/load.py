"""Load on a service from many clients, each answer accounted for: status, receipt, and whether every face is hidden."""

import functools
import io
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

FACE = (0.367, 0.146, 0.5, 0.3125)
"""Inside the face of NASA's portrait, as shares of its sides: x1, y1, x2, y2."""

HIDDEN = 12.0
"""Least mean difference, in gray levels, between a face and what hides it. JPEG noise makes less than 3."""

PAUSE = 0.05


@dataclass(frozen=True)
class Picture:
    """A file to send: its bytes, its type, its pixels (H, W, 3) and the boxes inside its faces."""

    media: str
    content: bytes = field(repr=False)
    pixels: npt.NDArray[np.uint8] = field(repr=False)
    faces: tuple[tuple[int, int, int, int], ...]

    def hidden_in(self, answer: bytes) -> bool:
        """Whether every face of this picture is changed beyond noise in `answer`."""
        with Image.open(io.BytesIO(answer)) as image:
            shown = np.asarray(image.convert("RGB"), np.int16)
        if shown.shape != self.pixels.shape:
            return False
        differences = (
            np.abs(shown[y1:y2, x1:x2] - self.pixels[y1:y2, x1:x2].astype(np.int16)).mean()
            for x1, y1, x2, y2 in self.faces
        )
        return all(difference > HIDDEN for difference in differences)


@functools.cache
def picture(width: int, height: int, container: str, sides: tuple[int, ...] = (256, 200, 320)) -> Picture:
    """The portrait in several sizes over enlarged texture, as a file of Pillow's format `container`."""
    canvas = np.ascontiguousarray(cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_CUBIC))
    faces = []
    left = 16
    for side in sides:
        if left + side > width or side > height:
            break
        top = (height - side) // 2
        canvas[top : top + side, left : left + side] = cv2.resize(
            data.astronaut(), (side, side), interpolation=cv2.INTER_AREA
        )
        x1, y1, x2, y2 = (round(share * side) for share in FACE)
        faces.append((left + x1, top + y1, left + x2, top + y2))
        left += side + 32
    buffer = io.BytesIO()
    options = {"JPEG": {"quality": 90}, "WEBP": {"quality": 90}, "PNG": {"compress_level": 1}}.get(container, {})
    Image.fromarray(canvas).save(buffer, container, **options)
    return Picture(Image.MIME[container], buffer.getvalue(), canvas, tuple(faces))


def mix() -> tuple[Picture, ...]:
    """What a day brings: mostly photographs of phones, some large, some in other formats."""
    return (
        picture(640, 480, "JPEG"),
        picture(1280, 960, "JPEG"),
        picture(2000, 1500, "JPEG"),
        picture(1024, 768, "PNG"),
        picture(800, 600, "WEBP"),
        picture(1280, 720, "TIFF"),
        picture(4000, 3000, "JPEG"),
        picture(640, 480, "JPEG"),
    )


@dataclass(frozen=True)
class Answer:
    """How one request ended. `status` 0: no answer came (`problem` says why). Times are of time.monotonic."""

    status: int
    problem: str
    receipt: str | None
    began: float
    ended: float
    hidden: bool = True


class Load:
    """`clients` threads that send `pictures` to `url()` without a pause, until the block ends."""

    def __init__(
        self,
        url: Callable[[], str],
        pictures: Sequence[Picture],
        clients: int,
        *,
        source_ref: str,
        timeout: float = 60,
        key: str | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._verify = verify
        self._headers = {} if key is None else {"api-key": key}
        self._url = url
        self._pictures = pictures
        self._source_ref = source_ref
        self._timeout = timeout
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]
        self.answers: list[Answer] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(self._timeout + 10)

    def statuses(self) -> Counter[str]:
        """Answers by status, with the problem where there is one."""
        return Counter(f"{a.status or 'none'} {a.problem}".strip() for a in list(self.answers))

    def receipts(self) -> list[str]:
        """The receipts of the pictures that came back."""
        return [a.receipt or "none" for a in list(self.answers) if a.status == httpx.codes.OK]

    def _client(self, number: int) -> None:
        at = number
        client = httpx.Client(timeout=self._timeout, verify=self._verify)
        while not self._over.is_set():
            answer = self._send(client, self._pictures[at % len(self._pictures)])
            self.answers.append(answer)
            if answer.status != httpx.codes.OK:
                self._over.wait(PAUSE)
            at += 1
        client.close()

    def _send(self, client: httpx.Client, sent: Picture) -> Answer:
        began = time.monotonic()
        try:
            got = client.post(
                f"{self._url()}/v1/anonymize",
                params={"source_ref": self._source_ref},
                content=sent.content,
                headers={"Content-Type": sent.media, **self._headers},
            )
        except httpx.TransportError as error:
            return Answer(0, type(error).__name__, None, began, time.monotonic())
        ended = time.monotonic()
        receipt = got.headers.get("veil-receipt")
        if got.status_code != httpx.codes.OK:
            problem = got.headers.get("content-type", "").startswith("application/problem+json")
            slug = str(got.json()["type"]).rsplit("/", 1)[-1] if problem else "no problem document"
            return Answer(got.status_code, slug, receipt, began, ended)
        return Answer(got.status_code, "", receipt, began, ended, sent.hidden_in(got.content))


def stored(url: str, key: str | None = None, **query: str) -> dict[str, str]:
    """Outcome by id of every receipt that `query` selects."""
    found: dict[str, str] = {}
    cursor: dict[str, str] = {}
    with httpx.Client(timeout=60, headers={} if key is None else {"api-key": key}) as client:
        while True:
            page = client.get(f"{url}/v1/receipts", params={**query, **cursor}).raise_for_status()
            found |= {each["id"]: each["outcome"] for each in page.json()["receipts"]}
            if not page.json()["next_cursor"]:
                return found
            cursor = {"cursor": page.json()["next_cursor"]}
