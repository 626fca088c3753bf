"""What a key's terms do to requests: options under theirs, fixed ones, quotas."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
import pytest

from service.api.options import parse_options
from service.api.services import OptionRules
from service.api.terms import key_terms
from service.errors import InvalidRequest, NotPermitted
from service.policy import MetadataMode, Obscure, Policy
from service.records.key import Quota, Role, Terms
from tests.unit.api.rig import Rig, problem

Picture = Callable[..., bytes]
JPEG = {"content-type": "image/jpeg"}


def policy(rig: Rig, given: dict[str, str], **options: str) -> Policy:
    terms = Terms(options={name.replace("_", "."): value for name, value in options.items()})
    return parse_options(tuple(given.items()), rig.services.rules, terms=terms).policy


def test_a_keys_options_lie_under_the_requests(rig: Rig) -> None:
    own = policy(rig, {}, obscure="fill", obscure_plate="pixelate", metadata="geo", geo="10m")
    assert (own.of("face").obscure, own.of("plate").obscure) == (Obscure.FILL, Obscure.PIXELATE)
    assert (own.metadata, own.geo) == (MetadataMode.GEO, "10m")
    changed = policy(rig, {"obscure": "blur"}, obscure_plate="fill")
    assert changed.of("plate").obscure is Obscure.BLUR, "the request names every class"
    one = policy(rig, {"obscure.face": "blur"}, obscure="fill")
    assert (one.of("face").obscure, one.of("plate").obscure) == (Obscure.BLUR, Obscure.FILL)


def test_a_keys_option_that_the_request_makes_meaningless_is_no_error(rig: Rig) -> None:
    assert policy(rig, {"classes": "face"}, obscure_plate="fill").class_names == ("face",)
    assert policy(rig, {"metadata": "strip"}, metadata="geo", geo="10m").geo is None
    assert policy(rig, {"classes": "plate"}, classes="face").class_names == ("plate",)
    stored = policy(rig, {"coordinates": "stored"}, regions="[[0,0,9,9]]")
    assert len(stored.regions) == 1


def test_terms_are_checked_as_a_requests_options_are(rig: Rig) -> None:
    rules = rig.services.rules

    def check(options: dict[str, str], *fixed: str, rules: OptionRules = rules) -> Terms:
        return key_terms(rules, options=options, fixed=fixed)

    assert check({"obscure": "fill"}, "obscure", "threshold").fixed == {"obscure", "threshold"}
    for options, fixed, pointer in (
        ({"obscure": "nothing"}, (), "/obscure"),
        ({"obscur": "fill"}, (), "/obscur"),
        ({"geo": "10m"}, (), "/geo"),
        ({"source_ref": "x"}, (), "/source_ref"),
        ({}, ("obscur",), "/fixed/obscur"),
        ({}, ("source_ref",), "/fixed/source_ref"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            check(options, *fixed)
        assert [each.pointer for each in caught.value.problems] == [pointer]
    with pytest.raises(NotPermitted):
        check({"exclude": "[[0,0,9,9]]"})
    assert check({"exclude": "[[0,0,9,9]]"}, rules=OptionRules(rules.defaults, allow_exclude=True)).options


async def test_a_fixed_option_cannot_be_changed_by_query_or_form(rig: Rig, picture: Picture) -> None:
    _, token = await rig.token(
        Role.ANONYMIZE, options={"obscure.plate": "fill"}, fixed=frozenset({"obscure.plate", "exclude"})
    )
    app = rig.app(keys_needed=True, rules=OptionRules(rig.services.rules.defaults, allow_exclude=True))
    async with rig.client(app) as client:
        key = {"api-key": token}

        async def post(**options: str) -> httpx.Response:
            return await client.post("/v1/anonymize", params=options, content=picture(), headers=JPEG | key)

        done = await post()
        receipt = await rig.services.receipts.get(UUID(done.headers["veil-receipt"]))
        assert receipt.policy is not None
        assert [c["obscure"] for c in receipt.policy["classes"]] == ["blur", "fill"]
        assert (await post(**{"obscure.face": "pixelate"})).status_code == 200
        for options in ({"obscure": "blur"}, {"obscure.plate": "fill"}, {"exclude": "[[0,0,9,9]]"}):
            refused = problem(await post(**options), 403, "not-permitted")
            assert next(iter(options)) in refused["detail"]
        form = await client.post(
            "/v1/anonymize", files={"image": ("x.jpg", picture(), "image/jpeg")}, data={"obscure": "blur"}, headers=key
        )
        problem(form, 403, "not-permitted")


async def test_an_answer_says_what_is_left_and_when_there_is_more(rig: Rig, picture: Picture) -> None:
    _, token = await rig.token(Role.ANONYMIZE, quota=Quota(3, 600))
    async with rig.client(rig.app(keys_needed=True)) as client:

        async def post() -> httpx.Response:
            return await client.post("/v1/detect", content=picture(), headers=JPEG | {"api-key": token})

        for left in (2, 1, 0):
            answer = await post()
            assert answer.status_code == 200
            policies = '"requests";q=3;w=60, "megapixels";q=600;qu="megapixels";w=60'
            assert answer.headers["ratelimit-policy"] == policies
            assert re.fullmatch(rf'"requests";r={left};t=\d+, "megapixels";r=599;t=1', answer.headers["ratelimit"])
        refused = await post()
        body = problem(refused, 429, "quota-exceeded")
        assert body["violated-policies"] == ["requests"]
        wait = int(refused.headers["retry-after"])
        assert 15 <= wait <= 20
        assert f'"requests";r=0;t={wait}' in refused.headers["ratelimit"]
        problem(await client.get("/v1/models", headers={"api-key": token}), 429, "quota-exceeded")
        problem(await client.get("/v1/keys", headers={"api-key": token}), 403, "not-permitted")
        assert "ratelimit" not in (await client.get("/livez")).headers
    assert len(await rig.receipts()) == 3, "a request that is refused by its key alone leaves no receipt"


async def test_a_picture_over_the_quota_is_refused_before_it_is_decoded(rig: Rig, picture: Picture) -> None:
    _, token = await rig.token(Role.ANONYMIZE, quota=Quota(megapixels=1))
    async with rig.client(rig.app(keys_needed=True)) as client:
        large = picture(width=2000, height=1000)
        rig.face.gate.clear()  # both are inside before either is answered
        first = await post_both(rig, client, large, token)
        statuses = sorted(each.status_code for each in first)
        assert statuses == [200, 429]
        refused = next(each for each in first if each.status_code == 429)
        assert problem(refused, 429, "quota-exceeded")["violated-policies"] == ["megapixels"]
        assert refused.headers["veil-receipt"], "it was taken in, so it has a receipt"
        assert 30 <= int(refused.headers["retry-after"]) <= 60
    outcomes = {each["problem"]: each["outcome"] for each in await rig.receipts()}
    assert outcomes == {None: "ok", "quota-exceeded": "rejected"}


async def post_both(rig: Rig, client: httpx.AsyncClient, body: bytes, token: str) -> list[httpx.Response]:
    """Two answers at once: neither upload begins before both requests are let in."""
    let_in = asyncio.Barrier(2)

    async def upload() -> AsyncIterator[bytes]:
        await let_in.wait()
        yield body

    async def post() -> httpx.Response:
        return await client.post("/v1/anonymize", content=upload(), headers=JPEG | {"api-key": token})

    both = [asyncio.create_task(post()) for _ in range(2)]
    await rig.face.entered.wait()
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    rig.face.gate.set()
    return list(await asyncio.gather(*both))
