"""`tenantry prices …` as a person meets it: shown first, stored with --yes, then compared."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from tests.support.metered import CLAUDE, NOVA, MeteredStack
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


def test_a_new_key_of_no_model_is_told_and_refused(metered: MeteredStack, tmp_path: Path) -> None:
    file = tmp_path / "typed.csv"
    wrong = NOVA.removesuffix(":0")
    file.write_text(COLUMNS + f"{wrong},default,0,out,15\n")
    ask = ("prices", "import", str(file), "--layer", "--from", "2127-01-01")
    shown = tenantry(metered.home, *ask)
    told = f"no model of the catalogue is priced by {wrong} (did you mean {NOVA}?)"
    assert (shown.returncode, told in shown.stdout) == (0, True), shown.stderr
    assert "nothing is stored yet: --yes --unknown-models stores it" in shown.stdout
    refused = tenantry(metered.home, *ask, "--yes")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert refused.stderr.startswith(f"tenantry: {told}: ")
    assert refused.stderr.endswith("(--unknown-models)\n")
    listed = json.loads(tenantry(metered.home, "prices", "list", "--json").stdout)
    assert not any(one["effective_from"].startswith("2127") for one in listed)
    meant = json.loads(tenantry(metered.home, *ask, "--unknown-models", "--json").stdout)
    assert meant["unknown_models"] == [{"key": wrong, "near": NOVA}]


def test_a_correction_posts_what_it_can_and_tells_what_it_cannot(
    metered: MeteredStack, tmp_path: Path
) -> None:
    """The right edition has a price for one of two models; the other tenant is not asked about."""
    anna, bert = metered.tenants()
    for who in (anna, bert):
        for model in (NOVA, CLAUDE):
            metered.boto3(who).converse(**metered.ask(model, 1_000, 500))
    file = tmp_path / "right.csv"
    file.write_text(
        COLUMNS + "".join(f"{CLAUDE},default,0,{n},30\n" for n in ("uncached_in", "out"))
    )
    ask = ("prices", "import", str(file), "--backdated", "--from", "2019-01-01", "--yes", "--json")
    [right] = json.loads(tenantry(metered.home, *ask).stdout)["stored"]
    wrong = json.loads(tenantry(metered.home, "prices", "show", "--json").stdout)["version"]
    span = ("--from", "2020-01-01", "--to", "2990-01-01")
    correct = ("prices", "correct", anna.id, *span, "--wrong", str(wrong), "--right", str(right))
    done = tenantry(metered.home, *correct)
    assert done.returncode == 1
    assert done.stdout == "1 attempts corrected: cost 0.0345, charge 0.1035 USD\n"
    why, told = done.stderr.splitlines()
    assert why.endswith(
        f": {NOVA}: no price in edition {right}: edition {right} cannot correct it."
    )
    assert told.startswith("tenantry: 1 attempts could not be corrected: run it again when")
    again = tenantry(metered.home, *correct, "--json")
    assert again.returncode == 1
    shown = json.loads(again.stdout)
    assert (shown["attempts"], shown["left"], shown["why_left"]) == (0, 1, [why])
    assert metered.posted(bert).charge == Decimal("0.063")
    metered.agree(anna, bert)


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
