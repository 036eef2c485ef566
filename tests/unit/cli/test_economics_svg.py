"""The picture of a scenario: as wide as what is on it, and of nothing that lies on a server."""

import re
from pathlib import Path

from click.testing import CliRunner

from tenantry.entrypoints.cli.main import cli

COLUMN = 12.2  # of one character, in the units of the picture


def svg_of(file: Path, *options: str) -> str:
    done = CliRunner().invoke(cli, ["economics", *options, "--svg", str(file)])
    assert done.exit_code == 0, done.output
    return file.read_text("utf-8")


def test_a_picture_asks_nothing_of_any_server(tmp_path: Path) -> None:
    svg = svg_of(tmp_path / "e.svg", "--customers", "10")
    assert "@font-face" not in svg and "url(http" not in svg.replace('"', "")
    assert not re.search(r"(?:href|src)\s*[=:]", svg)
    assert "font-family: monospace" in svg


def test_a_picture_is_as_wide_as_its_words(tmp_path: Path) -> None:
    for options in (("--customers", "10"), ("--honest", "--tail", "1", "--acquisition", "50")):
        svg = svg_of(tmp_path / "e.svg", *options)
        found = re.search(r'viewBox="0 0 ([\d.]+)', svg)
        assert found is not None
        ends = [
            float(x) + float(length)
            for x, length in re.findall(r'<text [^>]*x="([\d.]+)"[^>]*textLength="([\d.]+)"', svg)
        ]
        assert max(ends) <= float(found[1]) <= max(max(ends), 80 * COLUMN) + 4 * COLUMN
