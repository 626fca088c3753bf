"""The deployment's settings: environment variables `VEIL_<GROUP>__<FIELD>`, secrets from files, nothing unknown.

Any setting may be given as `VEIL_<GROUP>__<FIELD>_FILE=/path`: its value is then the file's content. A variable that
starts with `VEIL_` and names no setting is refused, so a misspelling cannot silently leave a default in place.
"""

import difflib
import json
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from service.settings.groups import (
    Access,
    Admission,
    Cors,
    Database,
    Defaults,
    Detection,
    Group,
    Limits,
    Logs,
    Metadata,
    Models,
    Obscuring,
    Page,
    Panorama,
    Panoramax,
    Records,
    Retention,
    Server,
    Signing,
    Tls,
)

PREFIX = "VEIL_"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class SettingsError(Exception):
    """The settings are wrong; the message names each variable and says what would be right."""


class Settings(Group):
    """All groups; each field is one environment variable, e.g. `VEIL_SERVER__PORT`."""

    server: Server = Server()
    tls: Tls = Tls()
    limits: Limits = Limits()
    admission: Admission = Admission()
    detection: Detection = Detection()
    models: Models = Models()
    database: Database = Database()
    access: Access = Access()
    records: Records = Records()
    retention: Retention = Retention()
    signing: Signing = Signing()
    defaults: Defaults = Defaults()
    obscuring: Obscuring = Obscuring()
    metadata: Metadata = Metadata()
    panorama: Panorama = Panorama()
    panoramax: Panoramax = Panoramax()
    page: Page = Page()
    cors: Cors = Cors()
    logs: Logs = Logs()

    @property
    def keys_needed(self) -> bool:
        return not self.server.loopback if self.access.keys is None else self.access.keys

    @property
    def panoramax_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Who may use the blur API; empty if it is switched off."""
        enabled = self.panoramax.enabled
        if enabled is None:
            enabled = self.server.loopback or bool(self.panoramax.allow)
        return (self.panoramax.allow or LOOPBACK) if enabled else ()

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """The settings that `environ` (by default the process's) gives. Raises SettingsError, naming each variable."""
        values, wrong = _collect(os.environ if environ is None else environ)
        if not wrong:
            try:
                return cls.model_validate(values)
            except ValidationError as error:
                # Only the place and the rule: the value may be a secret.
                wrong = [f"{variable(*map(str, e['loc'][:2]))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError("wrong settings:\n  " + "\n  ".join(wrong))


def variable(group: str, field: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{group}__{field}".upper()


def variables() -> dict[str, tuple[str, str]]:
    """Every environment variable that names a setting, with its group and field."""
    groups = {name: info.annotation for name, info in Settings.model_fields.items()}
    return {
        variable(group, field): (group, field)
        for group, model in groups.items()
        if isinstance(model, type) and issubclass(model, Group)
        for field in model.model_fields
    }


def _collect(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Raw values by group and field, and what is wrong with the variables themselves."""
    known = variables()
    values: dict[str, dict[str, Any]] = {}
    wrong = []
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX):
            continue
        upper, text = name.upper(), environ[name]
        if upper not in known and upper.endswith("_FILE") and upper.removesuffix("_FILE") in known:
            upper = upper.removesuffix("_FILE")
            try:
                text = Path(text).read_text(encoding="utf-8").strip()
            except OSError as error:
                wrong.append(f"{name}: the file cannot be read ({error.strerror})")
                continue
        if upper not in known:
            wrong.append(f"{name}: there is no such setting{_closest(upper, known)}")
            continue
        group, field = known[upper]
        if field in values.get(group, {}):
            wrong.append(f"{name}: given twice, once as _FILE")
            continue
        if _is_json(group, field):
            try:
                values.setdefault(group, {})[field] = json.loads(text)
                continue
            except ValueError:
                wrong.append(f"{name}: not valid JSON")
                continue
        values.setdefault(group, {})[field] = text
    return values, wrong


def _is_json(group: str, field: str) -> bool:
    """Whether a setting is a table or a list, which an environment variable gives as JSON."""
    model = Settings.model_fields[group].annotation
    assert isinstance(model, type)
    assert issubclass(model, Group)
    return get_origin(model.model_fields[field].annotation) in (dict, tuple)


def _closest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
