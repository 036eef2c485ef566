"""`tenantry prices …` as a person meets it: shown first, stored with --yes, then compared."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.metered import NOVA, MeteredStack
from tests.support.price_list import BEDROCK, FOUNDATION_MODELS, offer_csv, offer_json
from tests.support.stack_command import tenantry

COLUMNS = "model,tier,over_tokens,class,usd_per_million\n"
LATER = "2126-01-01"


def test_import_shows_then_stores(metered: MeteredStack, tmp_path: Path) -> None:
    file = tmp_path / "later.csv"
    file.write_text(COLUMNS + f"{NOVA},default,0,uncached_in,6\n{NOVA},default,0,out,15\n")
    ask = ("prices", "import", str(file), "--layer", "--from", LATER)
    shown = tenantry(metered.home, *ask)
    assert shown.returncode == 0, shown.stderr
    assert "nothing is stored yet" in shown.stdout
    assert "100" in shown.stdout
    stored = json.loads(tenantry(metered.home, *ask, "--yes", "--json").stdout)
    [version] = stored["stored"]
    changes = stored["editions"][0]["changes"]
    changed = [one for one in changes if one["change"] == "changed"]
    assert changed == [
        {
            "change": "changed", "model": NOVA, "tier": "default", "over_tokens": 0,
            "class": "uncached_in", "before": "3", "after": "6", "percent": "100",
        }
    ]  # fmt: skip
    listed = json.loads(tenantry(metered.home, "prices", "list", "--json").stdout)
    later = [one["version"] for one in listed if one["effective_from"].startswith(LATER)]
    assert later == [version], "stored once, and not when it was only shown"

    diff = tenantry(metered.home, "prices", "diff", "current", str(version), "--json")
    assert json.loads(diff.stdout)["changes"] == changes
    price = ("prices", "show", "--model", NOVA, "--json")
    for at, expected in ((LATER, "6"), ("2125-12-31", "3")):
        found = json.loads(tenantry(metered.home, *price, "--at", at).stdout)["prices"]
        [rate] = [r for r in found if (r["tier"], r["class"]) == ("default", "uncached_in")]
        assert rate["usd_per_million"] == expected, at


def test_import_reads_the_price_list(metered: MeteredStack, tmp_path: Path) -> None:
    (tmp_path / "AmazonBedrock.json").write_text(offer_json("AmazonBedrock", BEDROCK))
    (tmp_path / "models.csv").write_text(
        offer_csv("AmazonBedrockFoundationModels", FOUNDATION_MODELS)
    )
    files = [str(tmp_path / name) for name in ("AmazonBedrock.json", "models.csv")]
    # Another test may have stored an edition for later on the same stack.
    ask = ("prices", "import", *files, "--layer", "--until-later", "--home-region", "us-east-1")
    ask = (*ask, "--json")
    done = tenantry(metered.home, *ask)
    assert done.returncode == 0, done.stderr
    [edition] = json.loads(done.stdout)["editions"]
    assert edition["source"].startswith("AmazonBedrock 20261120094512 + AmazonBedrockFoundation")
    assert {one["change"] for one in edition["changes"]} == {"added", "removed", "changed"}
    assert json.loads(done.stdout)["stored"] == []


def test_what_is_wrong_is_one_line(metered: MeteredStack, tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    file.write_text(COLUMNS + f"{NOVA},default,0,out,15\n")
    past = tenantry(metered.home, "prices", "import", str(file), "--from", "2020-01-01", "--yes")
    assert (past.returncode, past.stderr.count("\n")) == (1, 1)
    assert "is past" in past.stderr
    file.write_text(COLUMNS + f"{NOVA},default,0,outt,15\n")
    wrong = tenantry(metered.home, "prices", "import", str(file))
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "tenantry: past.csv: line 2: unknown class outt\n",
    )
    assert tenantry(metered.home, "prices", "diff", "one", "2").returncode == 2
