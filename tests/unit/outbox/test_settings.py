"""What a setting of the outside may be, and that a wrong one is told without its secret."""

from pathlib import Path

import pytest
from tests.support.outbox import SECRET

from tenantry.adapters.smtp.server import BadServer, MailServer
from tenantry.bootstrap.checks.outside import outside_problems
from tenantry.config import Settings, describe

GOOD = {
    "webhook_url": "https://example.com/hook",
    "webhook_secret": SECRET,
    "smtp_url": "smtps://user:hidden@mail.example.com",
    "alert_email_from": "alerts@example.com",
    "alert_email_to": "a@example.com, b@example.com",
    "stripe_api_key": "sk_test_hidden",
}


def test_good_settings_have_no_problem() -> None:
    assert outside_problems(Settings()) == []
    assert outside_problems(Settings(**GOOD)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook_url", "ftp://hidden.example.com"),
        ("webhook_url", "https://[hidden"),
        ("webhook_secret", None),
        ("webhook_secret", "whsec_aGlkZGVu"),
        ("webhook_secret", "hidden"),
        ("webhook_secret_previous", "whsec_!hidden"),
        ("smtp_url", "mail.example.com:hidden"),
        ("smtp_url", "smtp://user:hidden@mail.example.com"),
        ("smtp_url", "smtps://hidden@mail.example.com"),
        ("smtp_url", "smtps://user:hidden@mail.example.com:0"),
        ("smtp_url", "smtps://user:hidden%C3%A9@mail.example.com"),
        ("smtp_url", "smtps://usér:hidden@mail.example.com"),
        ("alert_email_from", None),
        ("alert_email_from", "not an address"),
        ("alert_email_from", "a@example.com\r\nBcc: b@example.com"),
        ("alert_email_to", "a@example.com,,b@example.com"),
        ("alert_email_to", ",".join(["a@example.com"] * 21)),
        ("outside_ca_bundle", Path("nowhere.pem")),
        ("stripe_api_url", "stripe"),
    ],
)
def test_a_wrong_one_is_told_without_its_secret(name: str, value: object) -> None:
    problems = outside_problems(Settings(**{**GOOD, name: value}))  # type: ignore[arg-type]
    assert len(problems) == 1
    assert f"TENANTRY_{name.upper()}" in problems[0]
    assert "hidden" not in problems[0]


def test_no_secret_is_shown() -> None:
    settings = Settings(**GOOD)  # type: ignore[arg-type]
    shown = repr(settings) + "".join(each.value for each in describe(settings))
    assert "hidden" not in shown
    assert SECRET not in shown
    assert "hidden" not in repr(MailServer.from_url(GOOD["smtp_url"]))


@pytest.mark.parametrize(
    ("url", "port"),
    [("smtps://h", 465), ("smtp+starttls://u:p@h", 587), ("smtp://h", 25), ("smtp://h:2525", 2525)],
)
def test_a_mail_servers_port(url: str, port: int) -> None:
    assert MailServer.from_url(url).port == port


def test_a_mail_server_with_a_path_is_none() -> None:
    with pytest.raises(BadServer):
        MailServer.from_url("smtp://h/inbox")
