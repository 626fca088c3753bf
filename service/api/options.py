"""The options of a request, from query parameters and form fields to a complete policy.

Each option is known, given once and valid, or the request is refused: an option is never silently ignored.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from service.api.areas import parse_areas
from service.api.problems import escape
from service.api.services import OptionRules
from service.errors import InvalidRequest, NotPermitted, OptionProblem
from service.policy import (
    Area,
    ClassPolicy,
    Coding,
    Coordinates,
    Effort,
    GeoPrecision,
    MetadataMode,
    Obscure,
    OutputFormat,
    Policy,
    Projection,
    Residual,
    Verify,
)
from service.records.key import Terms

T = TypeVar("T")
Operation = Literal["anonymize", "detect"]
Pairs = Sequence[tuple[str, str]]

MAX_OPTIONS = 128
"""More than there are, and few enough that looking for what each was meant to be costs nothing."""

MAX_SOURCE_REF = 200
MAX_NAME = 64
"""How much of an unknown option's name is repeated in the problem document."""

PLAIN: dict[str, TypeAdapter[Any]] = {
    "effort": TypeAdapter(Effort),
    "projection": TypeAdapter(Projection),
    "metadata": TypeAdapter(MetadataMode),
    "geo": TypeAdapter(GeoPrecision),
    "format": TypeAdapter(OutputFormat),
    "quality": TypeAdapter(Policy.model_fields["quality"].rebuild_annotation()),
    "coding": TypeAdapter(Coding),
    "verify": TypeAdapter(Verify),
    "residual": TypeAdapter(Residual),
}
"""Options that are a field of the policy."""

PER_CLASS: dict[str, TypeAdapter[Any]] = {
    "obscure": TypeAdapter(Obscure),
    "strength": TypeAdapter(ClassPolicy.model_fields["strength"].rebuild_annotation()),
    "margin": TypeAdapter(ClassPolicy.model_fields["margin"].rebuild_annotation()),
    "threshold": TypeAdapter(ClassPolicy.model_fields["threshold"].rebuild_annotation()),
}
"""Options that are a field of each class: `obscure.plate`; all but the threshold also for every class: `obscure`."""

COORDINATES: TypeAdapter[Coordinates] = TypeAdapter(Coordinates)

HIDING = frozenset(
    {"obscure", "strength", "margin", "metadata", "geo", "regions", "exclude", "format", "quality", "coding"}
) | {"verify", "residual"}
"""Options about the picture that is answered: they mean nothing where none is."""

FREE = Terms()
"""No key, or one without options of its own."""


@dataclass(frozen=True, slots=True)
class Options:
    """A request's options, complete."""

    policy: Policy
    source_ref: str | None = None
    coordinates: Coordinates = "upright"


def parse_options(
    query: Pairs,
    rules: OptionRules,
    *,
    form: Pairs = (),
    operation: Operation = "anonymize",
    problems: Sequence[OptionProblem] = (),
    terms: Terms = FREE,
) -> Options:
    """The options in `query` and `form`, over those of the key's `terms`, over the defaults of `rules`.

    `problems` are those already found. Raises InvalidRequest with every problem at once, NotPermitted if the deployment
    does not allow `exclude` or the key's terms do not allow an option to be named.
    """
    if len(query) + len(form) > MAX_OPTIONS:
        raise InvalidRequest([OptionProblem("", f"more than {MAX_OPTIONS} options")])
    reader = _Reader({}, rules, operation, list(problems))
    reader.collect((*query, *form))
    if refused := sorted(filter(terms.fixes, reader.given)):
        raise NotPermitted(f"This key does not allow the option '{refused[0]}' to be changed.")
    reader.underlay(terms.options)
    if "exclude" in reader.given and not rules.allow_exclude:
        raise NotPermitted("This deployment does not allow the option 'exclude'.")
    return reader.options()


@dataclass(slots=True)
class _Reader:
    """One request's options while they are read: each that is wrong adds to `problems` and reading goes on."""

    given: dict[str, str]
    rules: OptionRules
    operation: Operation
    problems: list[OptionProblem]
    named: frozenset[str] = frozenset()
    """What the request itself names, once the key's options are there too."""

    def collect(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Takes each known option that is given once."""
        known = option_names([c.name for c in self.rules.defaults.classes], self.operation)
        for name, value in pairs:
            if name not in known:
                self.refuse(name[:MAX_NAME], self._unknown(name, known))
            elif name in self.given:
                self.refuse(name, "given more than once (query parameters and form fields count together)")
            else:
                self.given[name] = value

    def underlay(self, options: Mapping[str, str]) -> None:
        """Adds the key's options where the request names none that says the same or makes them meaningless."""
        known = option_names([c.name for c in self.rules.defaults.classes], self.operation)
        named = set(self.given)
        self.given |= {name: value for name, value in options.items() if name in known and not _named(name, named)}
        if "classes" in self.given:
            wanted = {name.strip() for name in self.given["classes"].split(",")}
            for name in set(self.given) - named:
                of = name.partition(".")[2]
                if of and of not in wanted:
                    del self.given[name]
        if "geo" not in named and self.given.get("metadata") == MetadataMode.STRIP:
            self.given.pop("geo", None)
        self.named = frozenset(named)

    def options(self) -> Options:
        general = {name: self._value(name, adapter) for name, adapter in PER_CLASS.items() if name != "threshold"}
        classes = self._classes({name: value for name, value in general.items() if value is not None})
        values = {name: self._value(name, adapter) for name, adapter in PLAIN.items()}
        values |= {"region_obscure": general["obscure"], "region_strength": general["strength"]}
        values = {name: value for name, value in values.items() if value is not None}
        if "quality" in self.given:
            values["reencode"] = True  # a quality says that it shall be encoded; nothing else gives a patched JPEG one
        values |= {"regions": self._areas("regions"), "exclude": self._areas("exclude")}
        coordinates = self._value("coordinates", COORDINATES) or "upright"
        if coordinates == "stored" and self.named & {"regions", "exclude"}:
            self.refuse("coordinates", "regions and exclude are in upright pixels and cannot go with 'stored'")
        if "geo" in self.given and values.get("metadata", self.rules.defaults.metadata) is MetadataMode.STRIP:
            self.refuse("geo", "it rounds the position, which the answer has only with metadata=geo or metadata=keep")
        source_ref = self._source_ref()
        if self.problems:
            raise InvalidRequest(self.problems)
        policy = self.rules.defaults.model_copy(update={"classes": classes} | values)
        # model_copy does not validate; this does, and makes a new object, so that no cached digest comes along.
        return Options(Policy.model_validate(policy.model_dump()), source_ref, coordinates)

    def _classes(self, general: dict[str, Any]) -> tuple[ClassPolicy, ...]:
        """The policy of each wanted class: its default, then what is given for all, then what is given for it."""
        known = {each.name: each for each in self.rules.defaults.classes}
        wanted = self._wanted(known)
        policies = []
        for name, policy in known.items():
            own = {each: self._value(f"{each}.{name}", adapter) for each, adapter in PER_CLASS.items()}
            if name in wanted:
                policies.append(policy.model_copy(update=general | {k: v for k, v in own.items() if v is not None}))
                continue
            for each in own:
                if f"{each}.{name}" in self.given:
                    self.refuse(f"{each}.{name}", f"'{name}' is not among classes")
        return tuple(policies)

    def _wanted(self, known: Iterable[str]) -> set[str]:
        if "classes" not in self.given:
            return set(known)
        names = [name.strip() for name in self.given["classes"].split(",")]
        if not set(names) <= set(known):
            self.refuse("classes", f"give a comma-separated list of {_listed(known)}")
        elif len(set(names)) != len(names):
            self.refuse("classes", "a class is named twice")
        return set(names)

    def _value(self, name: str, adapter: TypeAdapter[T]) -> T | None:
        """The value of option `name`; None if it is not given or wrong."""
        if name not in self.given:
            return None
        try:
            return adapter.validate_python(self.given[name])
        except ValidationError as error:
            self.refuse(name, error.errors(include_url=False, include_input=False)[0]["msg"])
            return None

    def _areas(self, name: str) -> tuple[Area, ...]:
        if name not in self.given:
            return ()
        try:
            return parse_areas(name, self.given[name])
        except InvalidRequest as error:
            self.problems.extend(error.problems)
            return ()

    def _source_ref(self) -> str | None:
        text = self.given.get("source_ref")
        if text is not None and not (0 < len(text) <= MAX_SOURCE_REF and text.isprintable()):
            self.refuse("source_ref", f"give 1 to {MAX_SOURCE_REF} printable characters")
        return text

    def _unknown(self, name: str, known: Sequence[str]) -> str:
        everywhere = option_names([c.name for c in self.rules.defaults.classes], "anonymize")
        if name in everywhere:
            return "this option is about the answered picture, and here there is none"
        near = difflib.get_close_matches(name[:MAX_NAME], known, n=1)
        return "there is no such option" + (f"; did you mean '{near[0]}'?" if near else "")

    def refuse(self, name: str, detail: str) -> None:
        self.problems.append(OptionProblem(f"/{escape(name)}", detail))


def _named(option: str, given: Iterable[str]) -> bool:
    """Whether a request that names the options `given` has said what it wants of `option`."""
    base = option.partition(".")[0]
    return any(name in (option, base) for name in given)


def option_names(classes: Sequence[str], operation: Operation) -> list[str]:
    """Every option of `operation`, by name."""
    names = ["classes"]
    for each in PER_CLASS:
        names += [each] * (each != "threshold") + [f"{each}.{name}" for name in classes]
    names += [*PLAIN, "regions", "exclude", "source_ref", "coordinates"]
    return [name for name in names if operation == "anonymize" or name.split(".")[0] not in HIDING]


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
