"""One scenario played under load, and its account: pictures out, receipts stored, faces hidden, time to recover."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from benchmarks.faults.scenarios import SCENARIOS, Fault
from benchmarks.load import Answer, Load, picture, stored

CLIENTS = 4
PATIENCE = 15.0
"""Seconds after the repair within which requests must succeed for the scenario to end at all."""


@dataclass(frozen=True)
class Account:
    """What a fault cost.

    `out`: pictures that callers got; `kept`: receipts of pictures in the store; `lost`: pictures out without a receipt
    in the store; `unread`: receipts of pictures whose caller was cut off before the answer arrived; `bare`: answers in
    which a face was to be seen. `recovery`: seconds from the moment the part was back to the beginning of the last
    request that failed for it; 0 if none began after that moment. `first`: seconds from that moment until the first
    picture was out, its own work included. `meanwhile`: pictures out while it was broken, of which there must be some
    if it `serves` all the same.
    """

    name: str
    out: int
    kept: int
    lost: int
    unread: int
    bare: int
    recovery: float
    first: float
    meanwhile: int
    serves: bool
    failures: dict[str, int]

    def wrong(self, *, most_seconds: float = 1.0) -> list[str]:
        """What is not as it must be."""
        found = []
        if self.lost:
            found.append(f"{self.lost} pictures without a receipt")
        if self.bare:
            found.append(f"{self.bare} pictures with a face to be seen")
        if self.kept != self.out + self.unread:
            found.append(f"{self.out} pictures out and {self.unread} cut off, but {self.kept} receipts")
        if self.recovery > most_seconds:
            found.append(f"recovered after {self.recovery:.2f} s")
        if self.serves and not self.meanwhile:
            found.append("no picture while it lasted")
        if math.isinf(self.first):
            found.append("no picture afterwards")
        unexpected = {each for each in self.failures if each.split(" ")[0] not in EXPECTED}
        if unexpected:
            found.append(f"answers that no fault explains: {unexpected}")
        return found


EXPECTED = {"none", "429", "503", "504", "408"}
"""No answer at all (the network, the process), or one that says to try again."""


def play(name: str, *, before: float = 3.0, broken: float = 5.0, after: float = 4.0) -> Account:
    """Plays the scenario: load for `before` seconds, the fault for `broken`, load for `after` once it is over.

    The fault stays until it is felt: until a request failed, or one that it lets through was answered.
    """
    with SCENARIOS[name][0]() as fault:
        pictures = (picture(640, 480, "JPEG"), picture(800, 600, "JPEG"), picture(640, 480, "PNG"))
        service = fault.stage.service
        load = Load(lambda: service.url, pictures, CLIENTS, source_ref="fault", timeout=20, key=fault.stage.key)
        with load:
            _first_answers(load)
            time.sleep(before)
            struck = time.monotonic()
            fault.strike()
            time.sleep(broken)
            _felt(load, struck, serves=fault.answers_meanwhile)
            back = fault.heal()
            _answers_again(load, back)
            time.sleep(after)
        return _account(name, fault, load.answers, struck, back)


def _first_answers(load: Load) -> None:
    _wait(lambda: len(load.receipts()) >= CLIENTS, 60)


def _felt(load: Load, struck: float, *, serves: bool) -> None:
    def felt() -> bool:
        answers = [each for each in list(load.answers) if each.began > struck or not serves]
        return any((each.status == httpx.codes.OK) == serves and each.ended > struck for each in answers)

    _wait(felt, 30)


def _answers_again(load: Load, back: float) -> None:
    _wait(lambda: any(a.began > back and a.status == httpx.codes.OK for a in list(load.answers)), PATIENCE + 30)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _account(name: str, fault: Fault, answers: list[Answer], struck: float, back: float) -> Account:
    kept = {
        each
        for each, outcome in stored(fault.stage.service.url, fault.stage.key, source_ref="fault").items()
        if outcome == "ok"
    }
    good = [each for each in answers if each.status == httpx.codes.OK]
    out = {each.receipt for each in good}
    failed_after = [
        each.began - back for each in answers if each.began > back and each.status not in (httpx.codes.OK, 429)
    ]
    return Account(
        name=name,
        out=len(good),
        kept=len(kept),
        lost=len([each for each in good if each.receipt not in kept]),
        unread=len(kept - out),
        bare=sum(not each.hidden for each in good),
        recovery=round(max(failed_after, default=0.0), 3),
        first=round(min((each.ended - back for each in good if each.ended > back), default=math.inf), 3),
        meanwhile=sum(struck < each.began and each.ended < back for each in good),
        serves=fault.answers_meanwhile,
        failures=dict(Counter(f"{a.status or 'none'} {a.problem}" for a in answers if a.status != httpx.codes.OK)),
    )
