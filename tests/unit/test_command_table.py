"""The table of commands is complete, and a command loads what it needs only."""

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from typer.main import get_group

import service.commands
from service.cli import COMMANDS, GROUPS, Commands

WITHIN = {"console": "is what commands share", "signing": "is a group of keys"}


def test_every_command_of_every_module_is_in_the_table() -> None:
    found = {}
    for module in {each.name for each in iter_modules(service.commands.__path__)} - WITHIN.keys():
        names = get_group(import_module(f"service.commands.{module}").app).commands
        found |= {module: module} if module in GROUPS else dict.fromkeys(names, module)
    assert found == dict(COMMANDS)
    assert {name: each.name for name, each in Commands().items()} == {name: name for name in COMMANDS}


@pytest.mark.parametrize(
    ("command", "not_needed"),
    [
        (["keys", "list", "--help"], ["service.detection", "service.imaging.codec", "onnxruntime", "fastapi", "cv2"]),
        (["verify", "--help"], ["service.detection", "onnxruntime", "fastapi", "cv2", "sqlalchemy"]),
        (["capacity", "--json"], ["numpy", "onnxruntime", "fastapi", "sqlalchemy"]),
    ],
)
def test_a_command_loads_no_more_than_it_needs(command: list[str], not_needed: list[str]) -> None:
    code = f"""
import sys
from service.cli import main
try:
    main({command})
except SystemExit as ended:
    assert ended.code == 0, ended.code
print(sorted(set({not_needed}) & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
