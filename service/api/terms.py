"""The terms of a new key: its options are read as a request's are, so a key that cannot work is not made."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from service.api.options import MAX_NAME, option_names, parse_options
from service.api.problems import escape
from service.api.services import OptionRules
from service.errors import OptionProblem
from service.records.key import Quota, Terms


def key_terms(
    rules: OptionRules,
    *,
    expires_at: datetime | None = None,
    quota: Quota = Quota(),  # noqa: B008 - frozen
    options: Mapping[str, str],
    fixed: Iterable[str],
) -> Terms:
    """The terms of a new key whose options this deployment understands. Raises InvalidRequest or NotPermitted."""
    fixed = frozenset(fixed)
    known = option_names([c.name for c in rules.defaults.classes], "anonymize")
    wrong = [
        OptionProblem(f"/fixed/{escape(name[:MAX_NAME])}", "there is no such option")
        for name in sorted(fixed)
        if name not in {*known, "threshold"} or name == "source_ref"
    ]
    if "source_ref" in options:
        wrong.append(OptionProblem("/source_ref", "a reference belongs to one request"))
    parse_options(tuple(options.items()), rules, problems=wrong)
    return Terms(expires_at, quota, dict(options), fixed)
