"""Questions with answers are made from headings, numbered entries and definitions."""

from tools.corpus.blocks import Block
from tools.ground_truth.asked import Asked, Page, from_blocks, from_listing, merged

BLOCKS = [
    Block("h1", "A FAQ"),
    Block("li", "How do I open it?"),
    Block("h2", "General"),
    Block("p", "Words before."),
    Block("h3", "How do I open it?"),
    Block("p", "With a key."),
    Block("pre", "open(key)"),
    Block("h3", "Why is it green?"),
    Block("h3", "What now?"),
    Block("p", "Nobody knows."),
    Block("h2", "Functions"),
    Block("p", "box.open(key, *, slowly=False)"),
    Block("p", "Opens the box."),
    Block("p", "work_mem (integer)"),
    Block("h4", "(5) SQLITE_BUSY"),
]


def found(text: str, asked: list[Asked]) -> dict[str, str]:
    return {each.words: text[each.start : each.end].strip() for each in asked}


def test_headings_that_ask_are_questions_and_leave_the_text() -> None:
    text, asked = from_blocks(BLOCKS, numbered=False)
    assert "How do I open it?" not in text and "Why is it green?" not in text
    questions = [each for each in asked if each.kind == "question"]
    assert found(text, questions) == {"How do I open it?": "With a key.\n\n```\nopen(key)\n```"}
    assert "What now?" in text, "two words ask too little"


def test_what_is_defined_is_a_name() -> None:
    text, asked = from_blocks(BLOCKS, numbered=False)
    names = [each for each in asked if each.kind == "name"]
    assert [each.words for each in names] == ["box.open", "work_mem", "SQLITE_BUSY"]
    for each in names:
        assert text[each.start :].lstrip("#(5) ").startswith(each.words)


def test_entries_of_a_page_are_questions() -> None:
    blocks = [
        Block("h1", "FAQ"),
        Block("p", "(1) It does not work!"),
        Block("p", "Switch it on."),
        Block("p", "(2) Is there more to it?"),
        Block("p", "No."),
    ]
    text, asked = from_blocks(blocks, numbered=True)
    assert found(text, asked) == {"Is there more to it?": "No."}
    assert "(1)" not in text


def test_a_listing_without_its_contents() -> None:
    source = """
                FAQ
 1. General
  1.1 What is it?
  1.2 Who made it, and when
      was that?

====================================

1. General

  1.1 What is it?

    A thing.

  1.2 Who made it, and when
      was that?

    Somebody, in 1998.
"""
    text, asked = from_listing(source)
    assert found(text, asked) == {
        "What is it?": "A thing.",
        "Who made it, and when was that?": "Somebody, in 1998.",
    }
    assert "=" not in text


def test_one_question_of_two_pages_has_both_answers() -> None:
    pages = [
        Page("s", f"s/{name}", name, "text/plain", "x" * 9, (Asked("question", words, 0, 5),))
        for name, words in (("a", "Is it fast?"), ("b", "is it FAST"))
    ]
    ((kind, words, places),) = merged(pages)
    assert (kind, words) == ("question", "Is it fast?")
    assert [page for page, _ in places] == ["s/a", "s/b"]
