"""docker-compose.yml and its overrides as data, the way Compose reads them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "docker-compose.yml"
CPU = ROOT / "deploy" / "compose.cpu.yml"
EMBEDDED = ROOT / "deploy" / "compose.embedded.yml"
MONITORING = ROOT / "deploy" / "compose.monitoring.yml"
POSTGRES = ROOT / "deploy" / "compose.postgres.yml"
TEST = ROOT / "tests" / "deploy" / "compose.test.yml"


class Reset:
    """What the tag `!reset` leaves: nothing."""


class _Loader(yaml.SafeLoader):
    """YAML with the two tags that Compose adds."""


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("!reset", lambda loader, node: Reset())
_Loader.add_constructor("!override", _plain)


def load(path: Path) -> dict[str, Any]:
    """The file with every `${NAME:-default}` at its default."""
    document: dict[str, Any] = _filled_in(yaml.load(path.read_text(encoding="utf-8"), _Loader))
    return document


def _filled_in(node: Any) -> Any:
    if isinstance(node, str):
        return re.sub(r"(?<!\$)\$\{[A-Z_]+:-([^}]*)\}", r"\1", node).replace("$$", "$")
    if isinstance(node, dict):
        return {key: _filled_in(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled_in(value) for value in node]
    return node


def conditions(service: dict[str, Any]) -> dict[str, str]:
    """What a service waits for: service -> condition."""
    return {name: each["condition"] for name, each in service.get("depends_on", {}).items()}


def in_order(services: dict[str, Any], *targets: str) -> Iterator[str]:
    """`targets` and all that they wait for, each after its own dependencies."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for needed in conditions(services[name]):
            visit(needed)
        done.setdefault(name)

    for target in targets:
        visit(target)
    return iter(done)
