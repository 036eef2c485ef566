"""The import contracts of `pyproject.toml` hold, and each of them can break."""

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


def contracts() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}


def linted(folder: Path, source: Path, *chosen: str) -> subprocess.CompletedProcess[str]:
    """lint-imports in `folder`, over the packages below `source`."""
    program = Path(sys.executable).with_name("lint-imports")
    only = [part for contract in chosen for part in ("--contract", contract)]
    return subprocess.run(
        [program, "--no-cache", "--config", str(folder / "pyproject.toml"), *only],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_contract_is_kept():
    result = linted(ROOT, ROOT / "src")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A house of the same rooms with nothing in them but what a contract must find."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module in MODULES:
        path = tmp_path / "src" / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    # What a contract protects must be imported somewhere.
    (tmp_path / "src/tenantry/adapters/stripe/__init__.py").write_text("import stripe\n")
    aws = tmp_path / "src/tenantry/adapters/keys/aws_kms.py"
    aws.write_text("import boto3\nimport botocore\n")
    http2 = tmp_path / "src/tenantry/entrypoints/http/wire/http2/__init__.py"
    http2.write_text("import h2\nimport hpack\nimport hyperframe\n")
    return tmp_path


def test_an_empty_house_keeps_every_contract(skeleton):
    result = linted(skeleton, skeleton / "src")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("contract", "module", "code"), PLANTED)
def test_each_contract_breaks_on_what_is_planted(skeleton, contract, module, code):
    (skeleton / "src" / module).write_text(code + "\n")
    result = linted(skeleton, skeleton / "src", contract)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_every_contract_is_planted_against():
    assert {contract for contract, _, _ in PLANTED} == contracts()
