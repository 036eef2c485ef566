"""Settings: where each comes from, and what is said of a wrong one."""

from pathlib import Path

import pytest
from tests.support.settings import load_settings

from tenantry.config import (
    FILE_BYTES_MAX,
    SettingsError,
    describe,
    examine_settings,
    setting_names,
    variable_of,
)
from tenantry.domain.masks import masked, without_userinfo
from tenantry.entrypoints.cli.serve import _serve_settings

SECRETS = {"database_url", "api_key", "operator_token"}


def with_file(folder: Path, text: str, **variables: str) -> dict[str, str]:
    (folder / "tenantry.toml").write_text(text)
    return {"TENANTRY_HOME": str(folder), **variables}


def test_everything_has_a_default(tmp_path):
    settings = load_settings({"HOME": str(tmp_path)})
    assert settings.home == tmp_path / ".local/share/tenantry"
    assert (settings.http_port, settings.https_port, settings.admin_port) == (8080, 8443, 9090)
    assert (settings.settle_wait_ms, settings.unknown_hold_h) == (5_000, 72)
    assert settings.storage == "postgres"
    assert settings.database_url is None
    assert {settings.origin(name) for name in setting_names()} == {"default"}


def test_the_data_folder_follows_xdg(tmp_path):
    settings = load_settings({"HOME": "/nowhere", "XDG_DATA_HOME": str(tmp_path)})
    assert settings.home == tmp_path / "tenantry"


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    environ = with_file(
        tmp_path, "http_port = 1000\nworkers = 3\n", TENANTRY_HTTP_PORT="0", TENANTRY_ENV="blue"
    )
    settings = load_settings(environ)
    assert (settings.http_port, settings.workers, settings.env) == (0, 3, "blue")
    assert settings.origin("http_port") == "variable TENANTRY_HTTP_PORT"
    assert settings.origin("workers") == f"file {tmp_path / 'tenantry.toml'}"
    assert settings.origin("admin_port") == "default"


def test_a_certificate_can_have_several_names(tmp_path):
    settings = load_settings(with_file(tmp_path, 'tls_names = "gateway.internal  10.0.0.7"\n'))
    assert _serve_settings(settings).tls_names == ("gateway.internal", "10.0.0.7")


def test_the_file_can_lie_anywhere(tmp_path):
    file = tmp_path / "other.toml"
    file.write_text('kms = "arn:aws:kms:eu-west-1:111122223333:key/1"\nhome = "/srv/tenantry"\n')
    settings = load_settings({"TENANTRY_CONFIG": str(file)})
    assert settings.home == Path("/srv/tenantry")
    assert settings.kms.startswith("arn:aws:kms:")


def test_an_empty_variable_is_not_set_and_strange_ones_are_not_ours(tmp_path):
    environ = {"HOME": str(tmp_path), "TENANTRY_HTTP_PORT": "", "HTTP_PORT": "1", "LANG": "C"}
    assert load_settings(environ).http_port == 8080


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"TENANTRY_HOME": "data", "TENANTRY_POSTGRES_BIN": "pg/bin"})
    assert settings.home == tmp_path / "data"
    assert settings.postgres_bin == tmp_path / "pg/bin"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TENANTRY_HTTP_PORT", "70000", "variable TENANTRY_HTTP_PORT: http_port is wrong"),
        ("TENANTRY_HTTP_PORT", "-1", "variable TENANTRY_HTTP_PORT: http_port is wrong"),
        ("TENANTRY_WORKERS", "two", "variable TENANTRY_WORKERS: workers is wrong"),
        ("TENANTRY_WORKERS", "1.5", "variable TENANTRY_WORKERS: workers is wrong"),
        ("TENANTRY_STORAGE", "mongo", "storage must be one of postgres, dynamodb"),
        ("TENANTRY_HTTP_PROT", "1", "unknown setting http_prot; did you mean http_port?"),
        ("TENANTRY_ORIGINS", "x", "unknown setting origins"),
        ("TENANTRY_CONFIG", "/nowhere/at.toml", "there is no file /nowhere/at.toml"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, variable, value, message):
    with pytest.raises(SettingsError, match=message.replace("?", r"\?")):
        load_settings({"HOME": str(tmp_path), variable: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('http_port = "8080"', "tenantry.toml: http_port is wrong"),
        ("http_port = true", "tenantry.toml: http_port is wrong"),
        ("http_port = 80.0", "tenantry.toml: http_port is wrong"),
        ("home = 1", "tenantry.toml: home is wrong"),
        ("[limits]\nx = 1", "unknown setting limits"),
        ("HTTP_PORT = 1", "unknown setting HTTP_PORT"),
        ("workers", "not TOML"),
        ("#" + "x" * FILE_BYTES_MAX, "larger than"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(with_file(tmp_path, text))


def test_every_problem_is_told_at_once(tmp_path):
    environ = with_file(tmp_path, 'workers = "a"\nnothing = 1\n', TENANTRY_ADMIN_PORT="x")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    assert len(str(caught.value).splitlines()) == 3


def test_secrets_are_never_shown(tmp_path):
    environ = {variable_of(name): f"hush-{name}" for name in SECRETS}
    settings = load_settings({"HOME": str(tmp_path), **environ})
    assert "hush" not in repr(settings)
    assert "hush" not in repr(list(describe(settings)))
    assert settings.api_key == "hush-api_key"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("postgresql://ann:s3cr3t@db:5432/app", "postgresql://ann:********@db:5432/app"),
        ("postgres://db/app", "postgres://db/app"),
        ("postgresql://ann@db/app?password=s3cr3t", "********"),
        ("postgresql://ann:a/b@db/app", "********"),
        ("host=db password=s3cr3t", "********"),
        ("tk_abc", "********"),
    ],
)
def test_a_secret_is_masked(secret, shown):
    assert masked(secret) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:s3cr3t@host:8080/x", "https://********@host:8080/x"),
        ("https://s3cr3t@host", "https://********@host"),
        ("https://ann:s3/cr?3#t@host", "https://********@host"),
        ("https://ann:s3@cr3t@host", "https://********@host"),
        ("ann:s3cr3t@host.example", "********@host.example"),
        ("no https://ann:s3cr3t@host, is it?", "no https://********@host, is it?"),
        ("'https://ann:s3cr3t@host' is none", "'https://********@host' is none"),
        ("https://host/a:b", "https://host/a:b"),
        ("Billing <billing@example.com>", "Billing <billing@example.com>"),
        ("a@example.com, b@example.com", "a@example.com, b@example.com"),
        (
            "arn:aws:kms:eu-central-1:123456789012:key/abc",
            "arn:aws:kms:eu-central-1:123456789012:key/abc",
        ),
    ],
)
def test_users_in_urls_are_masked(text, shown):
    assert without_userinfo(text) == shown


def test_no_setting_shows_a_password_in_its_url(tmp_path):
    """Also one that could not be read."""
    names = [name for name in setting_names() if name.endswith(("_url", "_host")) or name == "url"]
    for value in ("https://ann:hush@host", "postgresql://ann:hush@db/app", "ann:hush@host"):
        environ = {variable_of(name): value for name in (*names, "http_port", "storage")}
        settings, _ = examine_settings({"HOME": str(tmp_path), **environ})
        assert "hush" not in repr(list(describe(settings)))
