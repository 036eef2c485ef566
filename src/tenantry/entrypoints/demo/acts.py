"""The acts of the walk: each shows one promise and checks it; the first that fails ends it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tenantry.adapters.shipped import corpus, corpus_bytes, corpus_questions
from tenantry.domain import money
from tenantry.entrypoints.api_client import Api, Reply
from tenantry.entrypoints.demo.cast import TRIAL_REQUESTS, Player
from tenantry.entrypoints.demo.show import Failed, Show, expect

CHAT_MODEL = "amazon.nova-micro-v1:0"
READY_S = 300.0  # the largest document of the demo is indexed long before
MIDNIGHT_MARGIN_S = 120  # the day's hundred must fall into one day
QUESTIONS_SHOWN = 2
ASKED_MAX = 10  # each but the last is followed by the wait that the refusal names
HANGUP_WORDS = "the quick brown fox jumps over the lazy dog " * 12


@dataclass(frozen=True, slots=True)
class Walk:
    """What the acts act on."""

    show: Show
    gateway_url: str
    emulator: Api
    players: Mapping[str, Player]

    def api(self, role: str) -> Api:
        return Api(self.gateway_url, self.players[role].key)


def library(walk: Walk) -> dict[str, str]:
    """Uploads each tenant's documents; returns one document id for each set."""
    walk.show.act("1  Each tenant brings its documents")
    documents = corpus()
    ids: dict[str, str] = {}
    with walk.show.progress("uploading", len(documents)) as bar:
        for document in documents:
            reply = walk.api(document.set).upload(
                "/v1/documents",
                document.file,
                corpus_bytes(document),
                document.media_type,
                [("title", document.title)],
            )
            expect(reply.status in (200, 201), f"{document.file} is taken: {reply.body}")
            ids[document.set] = str(reply.body["id"])
            bar.advance(bar.task_ids[0])
    for role, player in walk.players.items():
        count = sum(1 for document in documents if document.set == role)
        _wait_ready(walk.api(role))
        walk.show.checked(
            f"{player.name}: {count} documents sealed with its own key "
            f"({player.plan} plan, {player.placement})"
        )
    return ids


def questions(walk: Walk) -> None:
    walk.show.act("2  Each asks, and is answered from its own documents alone")
    for role, player in walk.players.items():
        for row in [q for q in corpus_questions() if q.set == role][:QUESTIONS_SHOWN]:
            reply = _answer(walk.api(role), row.question)
            expect(reply.status == 200, f"{player.name} is answered: {reply.body}")
            expect(bool(reply.body["citations"]), f"{player.name}'s answer cites a passage")
            walk.show.say(f"{player.name}: {row.question}")
            walk.show.quote(_shortened(reply.body["answer"]))
            titles = sorted({str(c["title"]) for c in reply.body["citations"]})
            charge = reply.headers.get("x-tenantry-charge", "")
            walk.show.checked(f"cites {', '.join(titles)}; charged {charge}")


def isolation(walk: Walk, ids: Mapping[str, str]) -> None:
    walk.show.act("3  No tenant sees another's documents")
    foreign = next(q for q in corpus_questions() if q.set == "postgresql")
    titles = {d.title for d in corpus() if d.set == "sqlite"}
    reply = walk.api("sqlite").post("/v1/search", {"query": foreign.question, "top_k": 10})
    expect(reply.status == 200, f"the search is answered: {reply.body}")
    strangers = {str(p["title"]) for p in reply.body["passages"]} - titles
    expect(not strangers, f"no foreign passage is found, not {strangers}")
    name = walk.players["sqlite"].name
    walk.show.say(f"{name}: {foreign.question}")
    answer = walk.api("sqlite").post("/v1/answers", {"question": foreign.question})
    expect(answer.status == 200, f"the question is answered: {answer.body}")
    cited = {str(citation["title"]) for citation in answer.body["citations"]}
    expect(cited <= titles, f"no foreign passage is cited, not {cited - titles}")
    walk.show.quote(_shortened(answer.body["answer"]))
    walk.show.checked(f"{name} asks a PostgreSQL question and gets no foreign passage")
    for path in (f"/v1/documents/{ids['postgresql']}", f"/v1/documents/{ids['sqlite']}/content"):
        reply = walk.api("python").get(path)
        expect(reply.status == 404, f"GET {path} with another tenant's key is 404")
    reply = walk.api("python").delete(f"/v1/documents/{ids['postgresql']}")
    expect(reply.status == 404, "DELETE with another tenant's key is 404")
    own = walk.api("postgresql").get(f"/v1/documents/{ids['postgresql']}")
    expect(own.status == 200, "its owner still has it")
    walk.show.checked("reading or deleting another tenant's ids is 404, never 403")


def budget(walk: Walk, player: Player, spend: Decimal) -> int:
    """Spends a tiny budget of one API key; returns how many requests were admitted."""
    walk.show.act("4  Limits hold, to the request and to the cent")
    walk.show.say(
        f"{player.name}: a fourth tenant, made for this act, with {TRIAL_REQUESTS} requests a day"
    )
    walk.show.say(f"one of its API keys may spend {money.plain(spend)} USD a day")
    api = Api(walk.gateway_url, player.key)
    for admitted in range(TRIAL_REQUESTS):
        reply = _ask(api, "Say something.")
        if reply.status == 402:
            walk.show.checked(
                f"that key is refused with 402 after {admitted} requests:"
                " its budget has too little left"
            )
            return admitted
        expect(reply.status == 200, f"a request within the budget is answered: {reply.body}")
    raise Failed("a spent budget is refused with 402")


def daily_quota(walk: Walk, player: Player, used: int) -> None:
    """Uses up the day's hundred and asks once more."""
    api = Api(walk.gateway_url, player.key)
    with walk.show.progress("requests of the day", TRIAL_REQUESTS) as bar:
        bar.advance(bar.task_ids[0], used)
        for _ in range(TRIAL_REQUESTS - used):
            reply = _ask(api, "Say something.")
            expect(reply.status == 200, f"one of the day's hundred is answered: {reply.body}")
            bar.advance(bar.task_ids[0])
    reply = _ask(api, "Once more?")
    expect(
        reply.status == 400 and "ServiceQuotaExceeded" in reply.headers.get("x-amzn-errortype", ""),
        f"request {TRIAL_REQUESTS + 1} of the day is refused, not {reply.status}",
    )
    walk.show.checked(
        f"request {TRIAL_REQUESTS + 1} of {player.name}'s day is refused: {reply.body['message']}"
    )


def hang_up(walk: Walk, player: Player) -> None:
    """A client leaves in the middle of a stream; the whole answer is billed all the same."""
    rule = {
        "match": {"request_metadata": {"tid": player.id}, "operation": "ConverseStream"},
        "times": 1,
        "action": {"kind": "slow_tokens", "delay_ms": 20},
    }
    expect(walk.emulator.post("/_emulator/rules", [rule]).status < 300, "the emulator slows down")
    api = Api(walk.gateway_url, player.key)
    before = _charged(api)
    body = _converse(f'Reply with exactly "{HANGUP_WORDS.strip()}"', max_tokens=400)
    with api.stream("/model/emulator.obedient-v1/converse-stream", body) as chunks:
        seen = len(next(chunks))
    rid_bill = _wait_billed(walk, player, "ConverseStream")
    deadline = time.monotonic() + 60
    while _charged(api) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    expect(_charged(api) != before, "the abandoned answer is charged")
    out = rid_bill["usage"]["output"]
    expect(out > 50, "the model went on after its client had left")
    walk.show.checked(
        f"a client hangs up after {seen} bytes; Bedrock bills {out} output tokens and so do we"
    )


def wait_out_midnight(walk: Walk) -> None:
    """The day of the temporary tenant is UTC's; its hundred requests must fall into one."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left_s = (midnight - now).total_seconds()
    if left_s < MIDNIGHT_MARGIN_S:
        walk.show.say(f"midnight UTC is near: waiting {left_s:.0f} s, so that the day is one")
        time.sleep(left_s + 1)


def statements(walk: Walk) -> None:
    """Usage and draft invoices, as each tenant reads them."""
    walk.show.act("5  Each pays its own")
    for role, player in walk.players.items():
        usage = walk.api(role).get("/v1/usage?group_by=model")
        expect(usage.status == 200, f"{player.name} reads its usage: {usage.body}")
        walk.show.say(f"what {player.name} has used")
        rows = [_usage_row(row) for row in usage.body["data"]]
        walk.show.table(("model", "requests", "in", "out", "charge USD"), rows)
    for role, player in walk.players.items():
        invoices = walk.api(role).get("/v1/invoices")
        expect(invoices.status == 200, f"{player.name} reads its invoices: {invoices.body}")
        number = invoices.body["data"][0]["number"]
        draft = walk.api(role).get(f"/v1/invoices/{number}").body
        leaked = [word for word in ("cost", "markup") if word in str(draft).lower()]
        expect(not leaked, f"an invoice shows no {leaked}")
        walk.show.say(f"draft invoice of {player.name} for {_days(draft['period'])}")
        walk.show.table(
            ("", "quantity", "list charge", "amount"),
            [
                (
                    line["description"],
                    f"{line['quantity']:,}",
                    line["charge"],
                    f"{Decimal(line['amount']):,}",
                )
                for line in draft["lines"]
            ]
            + [("Total", "", "", f"{Decimal(draft['total']):,} {draft['currency']}")],
        )


def _days(period: Mapping[str, str]) -> str:
    """Its first day and its last, which ends where the next period begins."""
    last = datetime.fromisoformat(period["end"]) - timedelta(microseconds=1)
    return f"{period['start'][:10]} to {last.date()}"


def _ask(api: Api, question: str) -> Reply:
    return api.post(f"/model/{CHAT_MODEL.replace(':', '%3A')}/converse", _converse(question))


def _converse(question: str, max_tokens: int = 16) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": [{"text": question}]}],
        "inferenceConfig": {"maxTokens": max_tokens},
    }


def _charged(api: Api) -> str:
    reply = api.get("/v1/usage?group_by=model")
    expect(reply.status == 200, f"usage can be read: {reply.body}")
    return str([row for row in reply.body["data"] if "obedient" in str(row)])


def _wait_billed(walk: Walk, player: Player, operation: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for record in walk.emulator.get("/_emulator/bill").body["records"]:
            mine = record["request_metadata"].get("tid") == player.id
            if mine and record["operation"] == operation:
                found: Mapping[str, Any] = record
                return found
        time.sleep(0.2)
    raise Failed("the emulator bills the abandoned stream")


def _answer(api: Api, question: str) -> Reply:
    """Asked again where the plan's minute is used up, as by a walk that ended just now."""
    for _ in range(ASKED_MAX):
        reply = api.post("/v1/answers", {"question": question})
        if reply.status != 429:
            break
        time.sleep(int(reply.headers.get("retry-after", "1")))
    return reply


def _wait_ready(api: Api) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        states = _states(api)
        expect("failed" not in states, "every document is indexed")
        if states <= {"ready"}:
            return
        time.sleep(0.5)
    raise Failed("every document is searchable in time")


def _states(api: Api) -> set[str]:
    states: set[str] = set()
    path = "/v1/documents?limit=100"
    cursor: str | None = ""
    while cursor is not None:
        reply = api.get(path + (f"&cursor={cursor}" if cursor else ""))
        expect(reply.status == 200, f"documents can be listed: {reply.body}")
        states |= {str(row["status"]) for row in reply.body["data"]}
        cursor = reply.body.get("next_cursor")
    return states


def _usage_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    tokens: Mapping[str, int] = row["tokens"]
    incoming = sum(n for name, n in tokens.items() if name != "out")
    return (
        str(row["model"]),
        f"{row['requests']:,}",
        f"{incoming:,}",
        f"{tokens.get('out', 0):,}",
        row["charge"],
    )


def _shortened(text: str, limit: int = 320) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
