"""Alerts that can be counted are those that the reference page tells of."""

import re
from pathlib import Path

from tenantry.domain.alert import SEVERITIES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "alerts.md"
ROW = re.compile(r"^\| (`[a-z]+\.[^|]+) \|.*\| ([^|]+) \|$", re.M)


def test_every_kind_stands_in_the_reference_with_its_severities() -> None:
    told = {}
    for kinds, severities in ROW.findall(PAGE.read_text("utf-8")):
        for kind in re.findall(r"`([a-z_.]+)`", kinds):
            told[kind] = set(re.findall(r"info|warning|critical", severities))
    assert told.pop("platform.written_off") == set()  # a notice without an alert
    assert told == {kind: set(several) for kind, several in SEVERITIES.items()}
