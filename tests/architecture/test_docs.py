"""Documentation names what exists, and what exists is documented."""

import re

import click
import pytest
from tests.support.house.docs import (
    broken_links,
    glossary_terms,
    missing_pages,
    missing_paths,
    missing_targets,
    remarks,
    undocumented,
    unknown_variables,
    unused_terms,
)
from tests.support.house.files import FROZEN, ROOT, code, text_of, tracked
from tools import write_cli_reference, write_settings_reference

from tenantry.config import CONFIG_VARIABLE, setting_names, variable_of
from tenantry.entrypoints.cli.main import cli

GLOSSARY = "docs/glossary.md"

# Terms that stand in the glossary alone, and why.
FOR_THE_READER = {"bridge": "the field's word for what is here a rule from plans to placements"}


def pages() -> list[str]:
    return [n for n in tracked() if n.endswith(".md") and not n.startswith(FROZEN)]


def each_page(rule):
    return [f"{name}: {wrong}" for name in pages() for wrong in rule(name, text_of(name))]


def test_every_relative_link_resolves():
    assert each_page(lambda name, text: broken_links(text, ROOT / name)) == []


def test_every_file_that_is_named_exists():
    names = set(tracked())
    folders = {name[:end] for name in names for end, char in enumerate(name) if char == "/"}
    assert each_page(lambda _, text: missing_paths(text, (names | folders).__contains__)) == []


def test_every_page_that_code_names_exists():
    names = set(tracked())

    def missing(text):
        return missing_pages(text, exists) + missing_paths(text, exists)

    def rule(name):
        text = text_of(name)
        return missing(remarks(name, text)) if missing(text) else []  # few files are read closely

    folders = {name[:end] for name in names for end, char in enumerate(name) if char == "/"}
    exists = (names | folders).__contains__
    assert [f"{name}: {wrong}" for name in code(".py", ".sql") for wrong in rule(name)] == []


def test_every_layer_and_every_outside_thing_stands_in_the_architecture():
    page = text_of("docs/architecture.md")
    paths = [name.split("/") for name in code(".py") if name.startswith("src/tenantry/")]
    layers = {path[2] for path in paths if len(path) > 3}
    folders = {path[3] for path in paths if path[2] == "adapters" and len(path) > 4}
    assert layers >= {"domain", "bootstrap"}
    assert folders >= {"postgres", "bedrock"}
    assert {name for name in layers | folders if f"`{name}/`" not in page} == set()


def test_every_make_target_that_is_named_exists():
    makefile = text_of("Makefile")
    assert each_page(lambda _, text: missing_targets(text, makefile)) == []


def test_every_variable_that_is_named_is_a_setting():
    known = {CONFIG_VARIABLE, *map(variable_of, setting_names())}
    assert each_page(lambda _, text: unknown_variables(text, known)) == []


def test_every_setting_is_documented():
    page = write_settings_reference.TARGET.read_text("utf-8")
    assert page == write_settings_reference.settings_reference()


def test_every_command_and_option_is_documented():
    assert undocumented(cli, write_cli_reference.TARGET.read_text("utf-8")) == []


def test_the_glossary_is_in_the_order_of_the_alphabet():
    terms = glossary_terms(text_of(GLOSSARY))
    rows = [
        line.split("**")[1].casefold() for line in text_of(GLOSSARY).splitlines() if "| **" in line
    ]
    assert len(rows) > 50 and set(rows) <= {*terms, "price book, edition"}
    assert rows == sorted(rows)


def test_commands_of_how_to_pages_can_be_copied_as_they_are():
    how_to = [name for name in pages() if name.startswith("docs/how-to/")]
    prompted = re.compile(r"^\s*(?:\$|#>|>>>) \w", re.MULTILINE)
    assert [name for name in how_to if prompted.search(text_of(name))] == []


def test_every_term_of_the_glossary_is_unique_and_used():
    for name in pages():
        if name == GLOSSARY:
            terms = glossary_terms(text_of(name))
            assert len(terms) == len(set(terms)) > 0
            others = (*code(".py", ".sql", under=("src/",)), *(p for p in pages() if p != name))
            unused = unused_terms(text_of(name), "\n".join(map(text_of, others)))
            assert set(unused) <= set(FOR_THE_READER)


@pytest.mark.parametrize(
    ("target", "resolves"),
    [
        ("other.md", True),
        ("missing.md", False),
        ("other.md#a-heading-with-code", True),
        ("other.md#missing", False),
        ("#here", True),
        ("#nowhere", False),
        ("https://example.com/missing.md", True),
        ("../gone/", False),
    ],
)
def test_a_broken_link_is_found(tmp_path, target, resolves):
    (tmp_path / "other.md").write_text("# A heading, with `code`\n")
    page = tmp_path / "page.md"
    text = f"# Here\n[a]({target}) `[b](c.md)`\n```\n[d](e.md)\n```\n"
    page.write_text(text)
    assert broken_links(text, page) == ([] if resolves else [target])


def test_what_is_not_there_is_found():
    assert missing_paths("`src/a.py` `src/b/` `other/c`", {"src/b"}.__contains__) == ["src/a.py"]
    said = '"""See docs/a.md, `b.md`."""\nC = "c.md"  # d.md, e.md\n'
    assert missing_pages(remarks("x.py", said), {"e.md"}.__contains__) == ["d.md", "docs/a.md"]
    assert missing_pages(remarks("x.sql", "-- f.md\nSELECT 'g.md'"), set().__contains__) == ["f.md"]
    makefile = "demo: x\nbench-%: y\n"
    assert missing_targets("`make demo CHECK=1` `make bench-a` `make no`", makefile) == ["no"]
    assert unknown_variables("TENANTRY_A and `TENANTRY_B=1`", {"TENANTRY_A"}) == ["TENANTRY_B"]
    glossary = "**Tenant** one\n- **silo placement** two\n| **pool** | three |\nsee **bold**\n"
    assert glossary_terms(glossary) == ["tenant", "silo placement", "pool"]
    assert unused_terms(glossary, "TENANT silo-placement") == ["pool"]


def test_an_undocumented_command_or_option_is_found():
    group = click.Group("tenantry")
    things = click.Group("things")
    group.add_command(things)
    things.add_command(click.Command("list", params=[click.Option(["--json"], is_flag=True)]))
    things.add_command(click.Command("add"))
    page = write_cli_reference.cli_reference(group)
    assert undocumented(group, page) == []
    assert undocumented(group, page.replace("`--json`", "")) == ["things list --json"]
    assert undocumented(group, page.replace("things add", "things")) == ["things add"]
    assert undocumented(group, "") == ["things add", "things list"]
