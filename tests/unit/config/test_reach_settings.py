"""A setting by which nothing can be reached is told before anything starts, without its secret."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tenantry.adapters.objects.durable_file import ROOT_MARK, DurableFiles
from tenantry.bootstrap.checks.reach import file_problems, reach_problems
from tenantry.config import Settings

FONTS = Path(__file__).parents[2] / "support" / "fonts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "nonsense-hidden"),
        ("database_url", "mysql://root:hidden@db/x"),
        ("pgvector_url", "db.internal:5432"),
        ("bedrock_endpoint_url", "ftp://bedrock.internal"),
        ("bedrock_endpoint_url", "bedrock.internal"),
        ("bedrock_endpoint_url", "https://user:hidden@bedrock.internal"),
        ("bedrock_endpoint_url", "https://bedrock.internal/hidden"),
        ("invocation_log_url", "/srv/log"),
        ("tls_names", "gateway.example.com,other.example.com"),
        ("tls_names", "10.0.0.300"),
        ("tls_names", "gateway-"),
        ("tls_names", "a.-b.internal"),
        ("tls_names", "xn--gateway-.internal"),
        ("tls_names", "XN--gateway-.internal"),
        ("tls_names", "*.*.internal"),
        ("tls_names", "*.some_where.internal"),
        ("tls_names", "a" * 64),
        ("tls_names", ".".join(["a" * 60] * 5)),
        ("tls_names", "kapı_1.example"),
    ],
)
def test_a_wrong_address_is_one_line_that_names_its_setting(name: str, value: str) -> None:
    (problem,) = reach_problems(Settings(**{name: value}))
    assert problem.startswith(f"TENANTRY_{name.upper()} ")
    assert "hidden" not in problem


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey"])
def test_a_file_that_a_databases_address_names_must_be_there(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    url = f"postgresql://one:hidden@db/x?sslmode=verify-full&{name}={file}"
    (problem,) = reach_problems(Settings(database_url=url))
    assert problem == f"TENANTRY_DATABASE_URL names a file as {name} that is not there: {file}"
    file.touch()
    assert reach_problems(Settings(database_url=url)) == []


@pytest.mark.parametrize("parameter", ["channel_binding=require", "connect_timeout=10", "sslsni="])
def test_a_parameter_that_libpq_alone_knows_is_named(parameter: str) -> None:
    url = f"postgresql://one:hidden@db/x?sslmode=require&{parameter}"
    for setting in ("database_url", "pgvector_url"):
        (problem,) = reach_problems(Settings(**{setting: url}))
        assert problem == (
            f"TENANTRY_{setting.upper()} has the parameter {parameter.partition('=')[0]},"
            " which libpq alone knows: leave it away"
        )


@pytest.mark.parametrize("where", ["/x", "/x?port=5432", "/x?host=", "/x?service=main", ""])
def test_a_host_that_the_surroundings_would_name_is_asked_for(where: str) -> None:
    """PGHOST, a file of services, or a socket: whose server it is has to stand in the URL."""
    for setting in ("database_url", "pgvector_url"):
        url = f"postgresql://one:hidden@{where}"
        (problem,) = reach_problems(Settings(**{setting: url}))
        assert problem.startswith(f"TENANTRY_{setting.upper()} names no host: ")
        assert "hidden" not in problem


PORTS = ["abc", "121409", "99999", "65536", "0", "-1", "5_432", "%35abc", "\u0665", "5432:5432"]


@pytest.mark.parametrize("setting", ["database_url", "pgvector_url"])
@pytest.mark.parametrize(
    "url",
    [
        *(f"postgresql://one:hidden@db:{port}/x" for port in PORTS),
        "postgresql://one:hidden@db1:5432,db2:99999/x",
        "postgresql://one:hidden@[::1]:abc/x",
        "postgresql://one:hidden@%2Frun%2Fpostgresql:99999/x",
        "postgresql://one:hidden@/x?host=db:%2535432",  # decoded once
        "postgresql://one:hidden@/x?host=db&port=99999",
        "postgresql://one:hidden@/x?host=db1,db2&port=5432,0",
        "postgresql://one:hidden@/x?host=db1:5432,db2:abc",
        "postgresql://one:hid/den@db:5432/x",  # a password that is not encoded ends at the slash
    ],
)
def test_a_port_that_is_none_is_told_without_what_may_be_a_password(setting: str, url: str) -> None:
    (problem,) = reach_problems(Settings(**{setting: url}))
    assert problem == (
        f"TENANTRY_{setting.upper()} has a port that is not 1 to 65535 (where the password has one"
        " of :/?#[]@, it must be percent-encoded)"
    )


@pytest.mark.parametrize("hosts", ["db1:5432,", ",db2", "db1,,db2", "[::1", "[::1]x:5432"])
def test_a_host_that_is_none_is_told(hosts: str) -> None:
    for url in (f"postgresql://one:hidden@{hosts}/x", f"postgresql://one:hidden@/x?host={hosts}"):
        (problem,) = reach_problems(Settings(database_url=url))
        assert problem.startswith("TENANTRY_DATABASE_URL must be postgresql://")


@pytest.mark.parametrize(
    "where",
    [
        "db/x",
        "db:/x",
        "db:1/x",
        "db:65535/x",
        "db:05432/x",
        "db:%35432/x",
        "db1:5432,db2:5433/x",
        "db1,db2:5433/x",
        "[::1]/x",
        "[::1]:5432,10.0.0.7:5432/x",
        "%2Frun%2Fpostgresql/x",
        "%2Frun%2Fpostgresql:5432/x",
        "/x?host=/run/postgresql&port=5432",
        "/x?host=/run/a:b,db&port=5432,5433",
        "/x?host=db&port=",
    ],
)
def test_a_host_and_port_as_the_driver_takes_them_are_no_problem(where: str) -> None:
    url = f"postgresql://one:hidden@{where}"
    assert reach_problems(Settings(database_url=url)) == []


def test_addresses_that_can_be_reached_are_no_problem() -> None:
    config = Settings(
        database_url="postgresql://master:secret@db.internal:5432/tenantry?sslmode=verify-full&options=-ctcp_user_timeout%3D9",
        bedrock_endpoint_url="https://127.0.0.1:8443",
        invocation_log_url="s3://logs/of/all",
        tls_names="gateway.example.com *.example.com büro.example a_b 10.0.0.7 ::1 fe80::1%eth0",
    )
    assert reach_problems(config) == []
    assert reach_problems(Settings()) == []


@pytest.mark.parametrize("name", ["[::1]", "[::1]:443", "*.[::1]", "[::1", "*.[::1]:443"])
def test_an_address_in_the_brackets_of_a_url_is_told(name: str) -> None:
    (problem,) = reach_problems(Settings(tls_names=name))
    assert problem.endswith(f"{name!r} is neither: write ::1 alone, without brackets")


def test_authorities_that_are_absent_or_are_none_are_told(tmp_path: Path) -> None:
    text = tmp_path / "notes.pem"
    text.write_text("no certificate")
    for bundle in (tmp_path / "absent.pem", text):
        (problem,) = reach_problems(Settings(bedrock_ca_bundle=bundle))
        assert problem.startswith(f"TENANTRY_BEDROCK_CA_BUNDLE: {bundle}: ")


@pytest.mark.parametrize("name", ["postgres_bin", "invoice_fonts", "s3_folder", "shared_costs"])
def test_a_place_that_is_not_there_is_told_by_doctor(name: str, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    (problem,) = file_problems(Settings(home=tmp_path, **{name: absent}))
    assert problem == f"TENANTRY_{name.upper()}: {absent}: No such file or directory"


def test_a_font_that_is_cut_short_is_told_by_doctor(tmp_path: Path) -> None:
    for name in ("NotoSansJP.otf", "Amiri.ttf"):
        shutil.copy(FONTS / name, tmp_path)
    assert file_problems(Settings(home=tmp_path, invoice_fonts=tmp_path)) == []
    cut = tmp_path / "NotoSansJP.otf"
    cut.write_bytes(cut.read_bytes()[:-2_000])
    (problem,) = file_problems(Settings(home=tmp_path, invoice_fonts=tmp_path))
    assert problem == f"TENANTRY_INVOICE_FONTS {cut}: cut short"


def test_a_bill_of_shared_costs_that_is_none_is_told(tmp_path: Path) -> None:
    bill = tmp_path / "costs.toml"
    bill.write_text("allocate_by = 7", encoding="utf-8")
    (problem,) = file_problems(Settings(home=tmp_path, shared_costs=bill))
    assert problem.startswith(f"TENANTRY_SHARED_COSTS: {bill}: ")


def test_a_home_may_be_absent_but_no_file(tmp_path: Path) -> None:
    assert file_problems(Settings(home=tmp_path / "not" / "yet")) == []
    (tmp_path / "file").write_text("")
    (problem,) = file_problems(Settings(home=tmp_path / "file" / "home"))
    assert problem.endswith("is no folder")


def test_a_home_whose_documents_disk_is_not_mounted_is_told(tmp_path: Path) -> None:
    DurableFiles().create(tmp_path / "control" / "key", b"")
    mark = tmp_path / "accounts" / ROOT_MARK
    DurableFiles().create(mark, b"")
    assert file_problems(Settings(home=tmp_path)) == []
    mark.unlink()
    (problem,) = file_problems(Settings(home=tmp_path))
    assert problem.startswith(f"TENANTRY_HOME: {tmp_path}: ")
    assert "mounted" in problem


def test_a_home_of_before_there_was_a_mark_is_to_be_migrated(tmp_path: Path) -> None:
    """Accounts lie in the folder, so no disk is missing: an older version never wrote the mark."""
    DurableFiles().create(tmp_path / "control" / "key", b"")
    (tmp_path / "accounts" / "123456789012" / "keys").mkdir(parents=True)
    (problem,) = file_problems(Settings(home=tmp_path))
    assert "mounted" not in problem
    assert problem.endswith("run `tenantry migrate`")


def test_a_home_with_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.bootstrap.checks.reach.HOME_FREE_BYTES_MIN", 10**18)
    (problem,) = file_problems(Settings(home=tmp_path))
    assert problem.startswith(f"TENANTRY_HOME: {tmp_path}: its disk is nearly full")


def test_a_database_on_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tenantry.adapters.postgres.embedded.initialise.FREE_BYTES_MIN", 10**18, raising=True
    )
    (tmp_path / "postgres").mkdir()
    (tmp_path / "cluster").write_text('{"uuid": "u", "path": "postgres"}', encoding="utf-8")
    (problem,) = file_problems(Settings(home=tmp_path))
    assert "MB left" in problem
