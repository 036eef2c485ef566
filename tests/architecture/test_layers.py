"""The import contracts of `pyproject.toml` hold, and each of them can break."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.house.files import ROOT

MODULES = (
    "tenantry/__init__.py",
    "tenantry/config.py",
    "tenantry/bootstrap.py",
    "tenantry/entrypoints/__init__.py",
    "tenantry/entrypoints/http/__init__.py",
    "tenantry/entrypoints/http/wire/__init__.py",
    "tenantry/entrypoints/http/wire/http2/__init__.py",
    "tenantry/adapters/__init__.py",
    "tenantry/adapters/disk/__init__.py",
    "tenantry/adapters/cloud/__init__.py",
    "tenantry/adapters/stripe/__init__.py",
    "tenantry/adapters/keys/__init__.py",
    "tenantry/adapters/keys/aws_kms.py",
    "tenantry/application/__init__.py",
    "tenantry/ports/__init__.py",
    "tenantry/domain/__init__.py",
    "bedrock_emulator/wire/__init__.py",
    "bedrock_emulator/wire/http2/__init__.py",
    "tenantry/data/__init__.py",
    "bedrock_emulator/__init__.py",
)

PLANTED = [
    ("layers", "tenantry/ports/__init__.py", "import tenantry.application"),
    ("layers", "tenantry/application/__init__.py", "import tenantry.adapters.disk"),
    ("layers", "tenantry/adapters/disk/__init__.py", "import tenantry.application"),
    ("layers", "tenantry/adapters/disk/__init__.py", "def f():\n    import tenantry.bootstrap"),
    ("layers", "tenantry/bootstrap.py", "import tenantry.entrypoints.http"),
    ("layers", "tenantry/somewhere.py", ""),
    ("adapters-apart", "tenantry/adapters/disk/__init__.py", "import tenantry.adapters.cloud"),
    ("emulator-apart", "tenantry/entrypoints/__init__.py", "import bedrock_emulator"),
    ("emulator-apart", "bedrock_emulator/__init__.py", "import tenantry.domain"),
    ("settings-at-the-edge", "tenantry/application/__init__.py", "import tenantry.config"),
    ("pure-domain", "tenantry/domain/__init__.py", "import orjson"),
    ("pure-domain", "tenantry/ports/__init__.py", "import numpy"),
    ("stripe-in-one-place", "tenantry/adapters/disk/__init__.py", "def f():\n    import stripe"),
    ("stripe-in-one-place", "tenantry/application/__init__.py", "from stripe import Invoice"),
    ("http2-in-one-place", "tenantry/entrypoints/http/__init__.py", "import h2.connection"),
    (
        "http2-in-one-place",
        "tenantry/entrypoints/http/wire/__init__.py",
        "from hpack import Encoder",
    ),
    ("http2-in-one-place", "bedrock_emulator/__init__.py", "import hyperframe"),
    ("aws-in-one-place", "bedrock_emulator/__init__.py", "import botocore.eventstream"),
    ("aws-in-one-place", "tenantry/adapters/keys/__init__.py", "def f():\n    import boto3"),
    ("no-sdk-on-the-way", "tenantry/entrypoints/__init__.py", "import openai"),
]


def run(folder: Path, *command: str | Path, told: str = "") -> subprocess.CompletedProcess[str]:
    """In `folder`, with the packages below its `src`."""
    return subprocess.run(
        command,
        input=told,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def contracts() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}


def test_every_contract_is_kept():
    program = Path(sys.executable).with_name("lint-imports")
    result = run(ROOT, program, "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


def build(source: Path) -> None:
    """A house of the same rooms with nothing in them but what a contract must find."""
    for module in MODULES:
        path = source / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    # What a contract protects must be imported somewhere.
    (source / "tenantry/adapters/stripe/__init__.py").write_text("import stripe\n")
    aws = source / "tenantry/adapters/keys/aws_kms.py"
    aws.write_text("import boto3\nimport botocore\n")
    http2 = source / "tenantry/entrypoints/http/wire/http2/__init__.py"
    http2.write_text("import h2\nimport hpack\nimport hyperframe\n")


# Lints, in one process, the house as it is, with each thing planted in turn, and as it was again.
EACH = """
import contextlib, io, json, sys
from pathlib import Path
from importlinter.cli import lint_imports

def linted(*chosen):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = lint_imports(limit_to_contracts=chosen, no_cache=True, no_logo=True)
    return status, said.getvalue()

found = [linted()]
for contract, module, code in json.load(sys.stdin):
    path = Path("src", module)
    before = path.read_text() if path.exists() else None
    path.write_text(code + "\\n")
    found.append(linted(contract))
    path.unlink() if before is None else path.write_text(before)
found.append(linted())
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """Status and output for the empty house, for each of PLANTED, and for the empty one again."""
    house = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", house)
    build(house / "src")
    done = run(house, sys.executable, "-c", EACH, told=json.dumps(PLANTED))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_empty_house_keeps_every_contract(told):
    for status, said in (told[0], told[-1]):
        assert status == 0, said


@pytest.mark.parametrize("number", range(len(PLANTED)), ids=[case[0] for case in PLANTED])
def test_each_contract_breaks_on_what_is_planted(told, number):
    status, said = told[1 + number]
    assert status == 1
    assert "BROKEN" in said


def test_every_contract_is_planted_against():
    assert {contract for contract, _, _ in PLANTED} == contracts()
