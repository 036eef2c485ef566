"""What the command line prints for programs can be read by them."""

from __future__ import annotations

import json

import pytest

from tenantry.adapters import shipped
from tenantry.entrypoints.cli.output import print_json


@pytest.mark.parametrize(
    "values", [shipped.bedrock_models(), shipped.plan_tables()], ids=["models", "plans"]
)
def test_what_is_shipped_prints_as_json(values: object, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(values)
    assert json.loads(capsys.readouterr().out)


def test_a_model_says_the_day_that_it_retires_on(capsys: pytest.CaptureFixture[str]) -> None:
    retiring = [model for model in shipped.bedrock_models() if model.retires_on is not None]
    assert retiring
    print_json(retiring)
    days = [row["retires_on"] for row in json.loads(capsys.readouterr().out)]
    assert days == [model.retires_on.isoformat() for model in retiring if model.retires_on]
