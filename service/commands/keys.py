"""Commands on API keys."""

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.app.failure import StartError
from service.app.records import open_database
from service.commands import signing
from service.commands.console import err, out, plain_errors, settings_now, table
from service.errors import InvalidRequest, OptionProblem
from service.records.key import Key, Quota, Role, Terms
from service.records.keys import KeyRepository
from service.settings import Settings

if TYPE_CHECKING:
    from service.api.services import OptionRules

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")
app.add_typer(signing.app, name="signing")


def with_keys(work: Callable[[KeyRepository], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` on the key store of the configured database."""

    async def run() -> T:
        async with open_database(settings_now()) as database:
            return await work(KeyRepository(database))

    with plain_errors():
        return asyncio.run(run())


@app.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for, e.g. the name of the viewer.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    expires: Annotated[
        str | None, typer.Option(help="When it stops working: 90d, 2027-01-31 or 2027-01-31T08:00:00Z.")
    ] = None,
    quota_requests: Annotated[int | None, typer.Option(min=1, help="Requests in a minute.")] = None,
    quota_megapixels: Annotated[int | None, typer.Option(min=1, help="Megapixels of pictures in a minute.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("-s", "--set", metavar="NAME=VALUE", help="An option for requests that do not name it."),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            "--fix", metavar="NAME[=VALUE]", help="An option that requests may not name, with the value that it has."
        ),
    ] = None,
) -> None:
    """Create a key and print it once; only its hash is stored."""
    with plain_errors():
        quota = Quota(quota_requests, quota_megapixels)
        terms = terms_of(settings_now(), expires, quota, option or [], fix or [])
    key, token = with_keys(lambda repository: repository.create(name, role, terms))
    err.print(f"key {key.id} ({key.role}): shown once, keep it safe")
    sys.stdout.write(token + "\n")


@app.command("list")
def keys_list() -> None:
    """List the keys, without their secrets."""
    listed = table("id", "name", "role", "created", "expires", "revoked")
    for key in with_keys(lambda repository: repository.list()):
        listed.add_row(key.id, key.name, key.role, *map(moment, (key.created_at, key.terms.expires_at, key.revoked_at)))
    out.print(listed)


@app.command("show")
def keys_show(key: Annotated[str, typer.Argument(help="The key's id or name.")]) -> None:
    """Show a key's terms: expiry, quotas and options."""

    async def find(repository: KeyRepository) -> Key:
        found = await repository.get(key)
        if found is None:
            raise InvalidRequest([OptionProblem("/key", "there is no key with this id or name")])
        return found

    found = with_keys(find)
    terms = found.terms
    rows = [("id", found.id), ("name", found.name), ("role", str(found.role)), ("created", moment(found.created_at))]
    rows += [("expires", moment(terms.expires_at) or "never"), ("revoked", moment(found.revoked_at) or "no")]
    rows += [
        ("requests a minute", str(terms.quota.requests or "unlimited")),
        ("megapixels a minute", str(terms.quota.megapixels or "unlimited")),
    ]
    names = sorted({*terms.options, *terms.fixed})
    rows += [
        (name, terms.options.get(name, "as the deployment has it") + (" (fixed)" if name in terms.fixed else ""))
        for name in names
    ]
    listed = table("term", "value")
    for row in rows:
        listed.add_row(*row)
    out.print(listed)


@app.command("revoke")
def keys_revoke(key: Annotated[str, typer.Argument(help="The key's id or name.")]) -> None:
    """Revoke a key for good."""
    with_keys(lambda repository: repository.revoke(key))
    out.print(f"revoked {key}", markup=False)


def terms_of(
    settings: Settings, expires: str | None, quota: Quota, options: Sequence[str], fix: Sequence[str]
) -> Terms:
    """The terms of a new key. Raises InvalidRequest, NotPermitted or StartError."""
    given: dict[str, str] = {}
    fixed = []
    for text in (*options, *fix):
        name, separator, value = text.partition("=")
        if separator:
            if name in given:
                raise InvalidRequest([OptionProblem(f"/{name}", "given more than once")])
            given[name] = value
    for text in fix:
        fixed.append(text.partition("=")[0])
    if wrong := [text for text in options if "=" not in text]:
        raise InvalidRequest([OptionProblem(f"/{wrong[0]}", "give an option as NAME=VALUE")])
    until = None if expires is None else moment_of(expires, datetime.now(UTC))
    if not given and not fixed:
        return Terms(until, quota)
    from service.api.terms import key_terms

    return key_terms(rules(settings), expires_at=until, quota=quota, options=given, fixed=fixed)


def rules(settings: Settings) -> "OptionRules":
    """What requests to this deployment may ask for, from the catalog, whose files need not be there."""
    from service.api.services import OptionRules
    from service.app.veil import default_policy
    from service.models.catalog import Catalog

    try:
        catalog = Catalog.read(settings.models.repository)
    except (OSError, ValueError) as error:
        raise StartError(f"The options of a key are checked against the model catalog: {error}") from error
    return OptionRules(default_policy(settings, catalog), settings.access.allow_exclude)


def moment_of(text: str, now: datetime) -> datetime:
    """A day (its end, UTC), a moment, or `90d` from `now`. Raises InvalidRequest."""
    if days := re.fullmatch(r"([0-9]{1,4})d", text):
        return now + timedelta(days=int(days[1]))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        problem = OptionProblem("/expires", "give 90d, 2027-01-31 or 2027-01-31T08:00:00Z")
        raise InvalidRequest([problem]) from None
    if re.fullmatch(r"[0-9-]+", text):
        found += timedelta(days=1)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
