"""A command loads what it uses: those of an operator's day start without engines and adapters."""

import subprocess
import sys

HEAVY = {
    "boto3", "botocore", "numpy", "opensearchpy", "pinecone", "pyarrow", "pypdf", "rich",
    "selectolax", "tokenizers", "typst", "uvloop", "weaviate",
}  # fmt: skip
LIGHT = ["keys", "models", "plans", "prices", "rates", "serve", "tenants", "usage", "webhooks"]
OF_A_WORKER = {"tenantry.entrypoints.http.app", "tenantry.bootstrap.gateway"}


def test_a_command_loads_what_it_uses() -> None:
    modules = [f"tenantry.entrypoints.cli.{command}" for command in LIGHT]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()
    assert HEAVY.isdisjoint(loaded)
    assert OF_A_WORKER.isdisjoint(loaded), "`serve` starts others that serve"
    assert set(modules) <= set(loaded)
