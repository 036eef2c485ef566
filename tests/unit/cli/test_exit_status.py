"""0 done, 1 refused or failed with one clear line on stderr, 2 wrong usage."""

from __future__ import annotations

import contextlib
import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.command_line import StatusOf
from tests.support.ports import free_port

from tenantry.bootstrap.database import RunningDatabase
from tenantry.bootstrap.failures import told
from tenantry.config import setting_names
from tenantry.domain.errors import NotFound
from tenantry.domain.shred import document_of
from tenantry.entrypoints.http.supervisor import StartFailed
from tenantry.entrypoints.http.wire.listeners import bind

serve = importlib.import_module("tenantry.entrypoints.cli.serve")

_CORRECT = ("prices", "correct", "acme", "--wrong", "1", "--right", "2")
_MUTE = ("alerts", "mute", "acme")


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose gateway takes any ports that are free."""
    for name in ("TENANTRY_HTTP_PORT", "TENANTRY_HTTPS_PORT", "TENANTRY_ADMIN_PORT"):
        monkeypatch.setenv(name, "0")
    return home


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["tenants", "create", "--help"]])
def test_what_is_done_exits_0(arguments: list[str], status_of: StatusOf) -> None:
    assert status_of(*arguments) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["tenants", "create"],
        ["tenants", "create", "acme", "--plan", "pro", "--anchor-day", "32"],
        ["budgets", "set", "acme", "--limit", "NaN"],
        ["plans", "apply", "/no/such/file.toml"],
        ["usage", "acme", "--from", "2027-01-01", "--to", "2026-01-01"],
        ["reconcile", "--to", "9999-12-31"],
        ["reconcile", "--bill", "x.csv", "--from", "0001-01-01"],
        [*_CORRECT, "--from", "2027-01-01", "--to", "2026-01-01"],
        ["tenants", "shred"],
        ["tenants", "shred", ""],
        ["tenants", "show", ""],
        ["budgets", "show", " "],
        ["tenants", "export"],
        ["tenants", "export", "x", "--user", ""],
        ["tenants", "export", "x", "--user", " "],
        ["documents", "add", __file__, "--replace", ""],
        ["documents", "add", __file__, "--charset", "latin1; x=y"],
        ["documents", "remove", ""],
        ["audit", "isolation", "--only", ""],
        ["invoices", "finalise", "acme", "--sha256", ""],
        [*_MUTE, "--from", "0001-01-01", "--to", "2026-01-01", "--reason", "x"],
        [*_MUTE, "--from", "2026-01-01", "--to", "2201-01-01", "--reason", "x"],
        [*_MUTE, "--from", "2026-01-01", "--to", "2026-01-02", "--reason", "x" * 501],
        ["tenants", "credit", "acme", "1", "--note", "x" * 501],
        ["tenants", "credit", "acme", "1", "--note", "a\nb"],
        ["tenants", "list", "--after", "zzz"],
        ["tenants", "list", "--after", f"key_{'0' * 26}"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], status_of: StatusOf) -> None:
    assert status_of(*arguments) == 2


def test_an_empty_name_is_told_in_one_line_and_nothing_is_exported(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    target = home / "ann"
    assert status_of("tenants", "export", str(target), "--user", "") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: Invalid value for '--user': must not be empty"
    )
    assert not target.exists()


def test_an_archive_that_is_not_written_is_one_line_and_1(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    target = home / "acme.tar.gz"
    assert status_of("tenants", "export", str(target)) == 1
    said = f"tenantry: {target}: an export is a folder, a .tar or a .zip, and no .gz\n"
    assert capsys.readouterr().err == said


def test_a_refusal_is_one_line_and_1(
    status_of: StatusOf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of("documents", "list") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "TENANTRY_API_KEY" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenants", "list"),
        ("usage", "acme"),
        ("plans", "list", "--json"),
        ("reconcile", "--invariants"),
        ("audit", "isolation"),
        ("tenants", "shred", "--verify", "{certificate}"),
    ],
)
@pytest.mark.parametrize("url", [None, "postgresql://postgres@127.0.0.1:9/tenantry"])
def test_a_home_without_a_deployment_is_told_of_and_stays_as_it_is(
    arguments: tuple[str, ...],
    url: str | None,
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mistyped, certificate = home / "mistyped", home / "certificate.json"
    monkeypatch.setenv("TENANTRY_HOME", str(mistyped))
    if url is not None:
        monkeypatch.setenv("TENANTRY_DATABASE_URL", url)
    key = Ed25519PrivateKey.generate()
    content = '{"tenant":{"id":"tnt_a"}}'
    document = document_of(content, key.sign(content.encode()), key.public_key().public_bytes_raw())
    certificate.write_text(json.dumps(document), encoding="utf-8")
    words = (argument.format(certificate=certificate) for argument in arguments)
    assert status_of(*words) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"tenantry: There is no deployment in {mistyped} (TENANTRY_HOME)")
    assert said.count("\n") == 1
    assert not mistyped.exists()


def test_only_a_document_is_removed(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    monkeypatch.setenv("TENANTRY_URL", f"http://127.0.0.1:{free_port()}")
    assert status_of("documents", "remove", "reindex") == 1
    assert capsys.readouterr().err == "tenantry: there is no document reindex\n"


def test_a_gateway_that_is_away_is_one_line_and_1(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENANTRY_API_KEY", "tk_x")
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("TENANTRY_URL", url)
    assert status_of("search", "anything") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"tenantry: nothing answers at {url} (Connection refused")
    assert said.endswith("is `tenantry serve` running there?\n")
    assert said.count("\n") == 1


def test_an_export_that_is_not_there_is_one_line_and_1(
    home: Path, status_of: StatusOf, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = home / "acme-2026"
    assert status_of("tenants", "export", str(absent), "--verify") == 1
    assert capsys.readouterr().err == f"tenantry: {absent}: there is no export here\n"


def test_a_database_that_is_away_is_one_line_and_1(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    monkeypatch.setenv("TENANTRY_DATABASE_URL", url)
    for command in (["migrate"], ["serve"], ["tenants", "list"], ["doctor"]):
        assert status_of(*command) == 1
        said = capsys.readouterr().err
        assert said.startswith("tenantry: The database is out of reach: "), command
        assert said.count("\n") == 1
        assert "secret" not in said


def test_a_taken_port_is_told_before_a_database_is_made(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TENANTRY_ADMIN_PORT", str(port))
        assert status_of("serve") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"tenantry: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert said.count("\n") == 1
    assert list(home.iterdir()) == []


def test_serve_tells_of_shared_costs_before_it_starts_anything(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TENANTRY_SHARED_COSTS", str(home / "absent.toml"))
    assert status_of("serve") == 1
    said = capsys.readouterr().err
    assert said.startswith("tenantry: TENANTRY_SHARED_COSTS: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"), [("operator-token", ""), ("credentials.json", '{"bad')]
)
def test_a_file_of_the_operators_that_is_wrong_is_told_before_anything_starts(
    home: Path, status_of: StatusOf, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    path = home / "control" / name
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")
    for command in ("serve", "doctor"):
        assert status_of(command) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"tenantry: {path} must "), command
        assert said.count("\n") == 1
    assert list(home.iterdir()) == [path.parent]


def test_a_secret_that_others_may_read_is_told(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = home / "postgres.secrets"
    path.touch()
    path.chmod(0o644)
    told = f"{path} is open to others: its mode is 0644 and must be 0600"
    assert status_of("doctor") == 1
    assert capsys.readouterr().err == f"tenantry: {told}\n"
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    monkeypatch.setenv("TENANTRY_DATABASE_URL", url)
    assert status_of("serve") == 1
    assert caplog.messages == [told]
    assert capsys.readouterr().err.startswith("tenantry: The database is out of reach: ")


def test_a_worker_that_cannot_start_is_one_line_and_1(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StartFailed("a worker could not start: disk full")

    running = RunningDatabase(lambda role: "", lambda: None, [])
    monkeypatch.setattr(serve, "database", lambda _: contextlib.nullcontext(running))
    monkeypatch.setattr(
        serve,
        "HostWatch",
        lambda _: contextlib.nullcontext(SimpleNamespace(rolls=tuple)),
    )
    monkeypatch.setattr(serve, "BackgroundProcess", contextlib.nullcontext)
    monkeypatch.setattr(serve, "run", refuse)
    assert status_of("serve") == 1
    assert capsys.readouterr().err == "tenantry: a worker could not start: disk full\n"


def test_settings_that_are_wrong_in_two_ways_are_still_one_line(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENANTRY_HTTP_PORT", "never")
    monkeypatch.setenv("TENANTRY_WORKERS", "many")
    assert status_of("doctor") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "http_port is wrong: expected a whole number;" in said
    assert "workers is wrong: expected a whole number" in said


def test_doctor_prints_every_setting_also_where_some_are_wrong(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (home / "tenantry.toml").write_text("workers = 'many'\nenv = 'staging'", encoding="utf-8")
    monkeypatch.setenv("TENANTRY_OPERATOR_TOKEN", "hidden")
    monkeypatch.setenv("TENANTRY_BEDROCK_ENDPOINT_URL", "ftp://bedrock")
    assert status_of("doctor", "--all") == 1
    said = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in said.out.splitlines() if line.strip()}
    assert set(setting_names()) < set(rows)
    assert rows["workers"] == ["workers", "many", "file", f"{home}/tenantry.toml", "wrong"]
    assert rows["bedrock_endpoint_url"][-1] == "wrong"
    assert rows["env"] == ["env", "staging", "file", f"{home}/tenantry.toml"]
    assert said.err.count("\n") == 1
    assert "workers" in said.err
    assert "TENANTRY_BEDROCK_ENDPOINT_URL must be" in said.err
    assert "hidden" not in said.out + said.err
    assert [name for name in rows if name in setting_names()][-3:] == [
        "bedrock_endpoint_url",
        "workers",
        "operator_token",
    ], "what is wrong is last"


def test_doctor_marks_a_file_that_cannot_be_read_and_a_place_that_is_not_there(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TENANTRY_INVOICE_FONTS", str(home / "absent"))
    assert status_of("doctor", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told["settings"] if row["wrong"]] == ["invoice_fonts"]
    (home / "tenantry.toml").write_text("env =", encoding="utf-8")
    assert status_of("doctor", "--json") == 1
    said = capsys.readouterr()
    assert len(json.loads(said.out)["settings"]) == len(setting_names())
    assert "not TOML" in said.err


def test_doctor_writes_nothing(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status_of("doctor") == 0
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    monkeypatch.setenv("TENANTRY_DATABASE_URL", url)
    assert status_of("doctor") == 1
    assert list(home.iterdir()) == []


def test_more_workers_than_the_embedded_server_has_connections_for_are_refused(
    home: Path,
    status_of: StatusOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = "tenantry: TENANTRY_WORKERS: the embedded PostgreSQL has connections for 5 workers,"
    assert status_of("serve", "--workers", "6") == 1
    assert capsys.readouterr().err.startswith(refused)
    monkeypatch.setenv("TENANTRY_WORKERS", "6")
    assert status_of("doctor") == 1
    assert capsys.readouterr().err.startswith(refused)
    assert list(home.iterdir()) == []


def test_a_file_that_is_no_price_book_is_one_line_and_1(
    home: Path, status_of: StatusOf, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / "prices.csv"
    file.write_bytes(b"model,price\nx,\xff\n")
    assert status_of("prices", "import", str(file)) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_command_that_ends_with_a_status_of_its_own_keeps_it(
    status_of: StatusOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantry.entrypoints.demo.walk.run", lambda *, check: 1 + check)
    assert status_of("demo") == 1
    assert status_of("demo", "--check") == 2


def test_what_nobody_but_us_can_mend_is_a_fault() -> None:
    assert told(AssertionError("ours")) is None
    assert told(KeyError("ours")) is None
    assert told(NotFound("no tenant acme")) == "no tenant acme"
