"""The shipped catalogue, and the form of any other."""

from datetime import date

import pytest

from tenantry.adapters.shipped import bedrock_models, emulator_models
from tenantry.domain.catalogue import Catalogue
from tenantry.domain.catalogue_file import COLUMNS, CatalogueError, models_from_csv
from tenantry.domain.errors import ModelRetired, NotFound

TODAY = date(2026, 11, 23)
HEADER = ",".join(COLUMNS)
ROW = "acme.writer-v1:0,writer,acme,chat,8000,2000,acme.writer-v1:0,1,0,0,none,"


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue([*bedrock_models(), *emulator_models()])


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-sonnet-4-5", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("nova-micro", "amazon.nova-micro-v1:0"),
        ("titan-embed-v2", "amazon.titan-embed-text-v2:0"),
        ("us.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"),
        ("obedient", "emulator.obedient-v1"),
    ],
)
def test_a_model_is_found_by_alias_profile_and_id(catalogue, name, model):
    assert catalogue.resolve(name, {}, today=TODAY).model.id == model
    assert catalogue.resolve(model, {}, today=TODAY).model.id == model


@pytest.mark.parametrize(
    "name", ["claude-3-haiku", "claude-3-sonnet", "us.anthropic.claude-3-haiku-20240307-v1:0"]
)
def test_a_retired_model_is_refused_by_name(catalogue, name):
    with pytest.raises(ModelRetired):
        catalogue.resolve(name, {}, today=TODAY)


def test_other_vendors_spellings_are_unknown(catalogue):
    for name in ("anthropic.claude-haiku-4-5@20251001", "claude-sonnet-4-5-20250929-v1:0"):
        with pytest.raises(NotFound):
            catalogue.resolve(name, {}, today=TODAY)


def test_output_burns_five_times_from_claude_3_7_on():
    burndown = {model.id: model.burndown for model in bedrock_models()}
    assert burndown["anthropic.claude-3-7-sonnet-20250219-v1:0"] == 5
    assert burndown["anthropic.claude-opus-5-5"] == 5
    assert burndown["anthropic.claude-3-5-haiku-20241022-v1:0"] == 1
    assert burndown["amazon.nova-pro-v1:0"] == 1


def test_what_a_model_can_see_is_bounded():
    models = {model.id: model for model in bedrock_models()}
    assert models["amazon.nova-micro-v1:0"].image_tokens_max == 0
    assert models["anthropic.claude-sonnet-4-6"].image_tokens_max >= 1_568
    assert models["anthropic.claude-opus-4-7"].image_tokens_max >= 4_784
    for model in models.values():
        assert model.kind != "embedding" or model.max_output == 0
        assert model.page_tokens_max >= model.image_tokens_max


def test_a_file_gives_its_models_in_order():
    lines = ["# a comment", HEADER, ROW, "# another", ROW.replace("writer", "reader")]
    assert [model.id for model in models_from_csv(lines)] == [
        "acme.writer-v1:0",
        "acme.reader-v1:0",
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW.replace("8000", "8e3"), "line 3: window"),
        (ROW.replace("8000", "0"), "line 3: window"),
        (ROW.replace("2000", "-1"), "line 3: max_output"),
        (ROW.replace("chat", "talk"), "line 3: kind"),
        (ROW.replace("none", "soap"), "line 3: native_body"),
        (ROW + "2026-13-01", "line 3: retires_on"),
        (ROW.replace("acme.writer-v1:0,writer", "us.acme.writer-v1:0,writer"), "line 3: id"),
        (ROW.replace(",acme,", ",,"), "line 3: family"),
        (ROW.rpartition(",")[0], "line 3: must have"),
        (ROW + ",,", "line 3: must have"),
        (ROW + "\n" + ROW, "line 4: acme.writer-v1:0 is named in line 3 too"),
    ],
)
def test_a_wrong_line_is_named(row, message):
    with pytest.raises(CatalogueError, match=message):
        models_from_csv(["# first", HEADER, *row.splitlines()])


def test_other_columns_are_refused():
    with pytest.raises(CatalogueError, match="columns must be"):
        models_from_csv(["id,alias", "a.b,c"])
