"""Keys on the command line: made with terms, shown, used against the service, revoked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from service.commands.keys import moment_of
from service.errors import InvalidRequest
from tests.e2e.setups import encoded, portrait
from tests.service_process import ServiceProcess

NOW = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("2026-05-04", datetime(2026, 5, 5, tzinfo=UTC)),
        ("2026-12-31T08:00:00", datetime(2026, 12, 31, 8, tzinfo=UTC)),
        ("2026-12-31T08:00:00+02:00", datetime(2026, 12, 31, 6, tzinfo=UTC)),
        ("2026-12-31T08:00:00Z", datetime(2026, 12, 31, 8, tzinfo=UTC)),
    ],
)
def test_when_a_key_expires(text: str, moment: datetime) -> None:
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "90", "-5d", "2026-13-01"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InvalidRequest):
        moment_of(text, NOW)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_key_with_terms_from_its_making_to_its_end(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, {"VEIL_ACCESS__KEYS": "true"})
    terms = ("--expires", "30d", "--quota-requests", "3", "--set", "metadata=geo", "--fix", "obscure=fill")
    for wrong, says in (
        (("--fix", "obscur"), "there is no such option"),
        (("--set", "obscure"), "NAME=VALUE"),
        (("--expires", "2020-01-01"), "in the future"),
    ):
        refused = service.run("keys", "create", "--name", "viewer", "--role", "anonymize", *wrong)
        assert refused.returncode == 2
        assert says in refused.stderr
    made = service.run("keys", "create", "--name", "viewer", "--role", "anonymize", *terms)
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    shown = service.run("keys", "show", "viewer").stdout
    for word in ("anonymize", "3", "unlimited", "fill (fixed)", "geo"):
        assert word in shown
    assert "viewer" in service.run("keys", "list").stdout
    with service:
        headers = {"Content-Type": "image/jpeg", "api-key": token}

        def ask(**options: str) -> httpx.Response:
            body = encoded(portrait(), "JPEG")
            return httpx.post(f"{service.url}/v1/anonymize", params=options, content=body, headers=headers, timeout=60)

        done = ask()
        assert done.status_code == 200
        assert done.headers["ratelimit"].startswith('"requests";r=2;')
        assert ask(obscure="blur").status_code == 403
        assert ask().status_code == 200
        assert ask().status_code == 429
    assert service.run("keys", "revoke", "viewer").returncode == 0
    for written in (service.text(), (tmp_path / "veil.db").read_bytes().decode("latin-1")):
        assert token.split("_", 2)[2] not in written
