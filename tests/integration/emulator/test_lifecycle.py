"""Starting, ending, starting again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error

import pytest
from tests.support.emulator import eventually, read_log, start_emulator

from bedrock_emulator.__main__ import main

NOVA = "amazon.nova-lite-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
TENANTRY = ["-m", "tenantry.entrypoints.cli.main"]


def test_a_second_start_finds_accounts_bill_and_certificate(tmp_path):
    with start_emulator(tmp_path) as emulator:
        first = emulator.accounts
        certificate = emulator.ca_bundle.read_bytes()
        for account in first:
            emulator.client(account=account).converse(modelId=NOVA, messages=HELLO)
        bill = emulator.bill()
    with start_emulator(tmp_path) as emulator:
        assert emulator.accounts == first
        assert emulator.ca_bundle.read_bytes() == certificate
        assert emulator.bill() == bill
        assert [total["invocations"] for total in bill["totals"].values()] == [1, 1]
        mode = (emulator.data_dir / "accounts.json").stat().st_mode
        assert mode & 0o777 == 0o600


def test_configured_accounts_are_used_and_not_printed(tmp_path):
    config = """
    [[accounts]]
    id = "555555555555"
    name = "demo pool"
    regions = ["eu-west-1"]
    log_dir = "somewhere/logs"
    [[accounts.credentials]]
    access_key_id = "AKIADEMO"
    secret_access_key = "very-secret"
    bearer_key = "bearer-secret"
    """
    with start_emulator(tmp_path, config=config) as emulator:
        [account] = emulator.accounts
        client = emulator.client(account=account, region="eu-west-1")
        client.converse(modelId=NOVA, messages=HELLO)
        assert len(emulator.logged(account)) == 1
        assert account.log_dir.is_relative_to(tmp_path)
        assert account.bearer_key == "bearer-secret"


def test_accounts_from_the_environment(tmp_path):
    accounts = [
        {"id": "666666666666", "credentials": [{"bearer_key": "b"}]},
        {
            "id": "777777777777",
            "credentials": [{"access_key_id": "AKIA7", "secret_access_key": "s"}],
        },
    ]
    env = {"BEDROCK_EMULATOR_ACCOUNTS": json.dumps(accounts)}
    with start_emulator(tmp_path, env=env) as emulator:
        first, second = emulator.accounts
        emulator.client(account=second).converse(modelId=NOVA, messages=HELLO)
        assert len(emulator.logged(second)) == 1
        assert emulator.logged(first) == []
        assert first.log_dir.is_relative_to(emulator.data_dir)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("typo = 1", "typo"),
        ("[[accounts]]\nid = '12'", "accounts.id"),
        ("[[accounts]]\nid = '111111111111'", "credentials"),
        ("[[rules]]\naction = {kind = 'explode'}", "action.kind"),
        ("http_port = 70000", "http_port"),
        ("not toml", "emulator.toml"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path, capsys, config, named):
    file = tmp_path / "emulator.toml"
    file.write_text(config)
    assert main(["--config", str(file), "--data-dir", str(tmp_path / "data")]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert named in shown.err
    assert not (tmp_path / "data").exists()


ONE_ACCOUNT = """
[[accounts]]
id = "555555555555"
log_dir = "{log_dir}"
[[accounts.credentials]]
access_key_id = "AKIADEMO"
secret_access_key = "secret"
bearer_key = "b"
"""


@pytest.mark.parametrize(
    ("config", "data_dir", "named"),
    [
        ("", "taken", "taken: "),
        ("", "taken/below", "taken/below: Not a directory"),
        ("host = 'no such host'", "data", "host 'no such host' is no address and no name"),
        ("host = ''", "data", "host '' is no address and no name"),
        (ONE_ACCOUNT.format(log_dir="../taken"), "data", "taken: File exists"),
        (ONE_ACCOUNT.format(log_dir="../taken/logs"), "data", "taken/logs: Not a directory"),
    ],
)
def test_a_folder_or_host_that_cannot_be_used_is_named(tmp_path, capsys, config, data_dir, named):
    (tmp_path / "taken").touch()
    file = tmp_path / "emulator.toml"
    file.write_text("http_port = 0\nhttps_port = 0\n" + config)
    assert main(["--config", str(file), "--data-dir", str(tmp_path / data_dir)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("bedrock-emulator: ") and len(shown.err.splitlines()) == 1
    assert named in shown.err


@pytest.mark.parametrize(
    ("damaged", "content"),
    [
        (name, content)
        for name in (
            "accounts.json",
            "logging.json",
            "bill.jsonl",
            "log-spool/1.jsonl",
            "batch-jobs/1.json",
            "inference-profiles/1_us-east-1.json",
        )
        for content in (b"\0\n", b"[1]\n", b'{"accounts": 1, "a/b": {"no": 1}, "c": 2}\n')
    ],
)
def test_a_damaged_file_of_an_earlier_start_is_named(tmp_path, capsys, damaged, content):
    data = tmp_path / "data"
    (data / damaged).parent.mkdir(parents=True)
    (data / damaged).write_bytes(content)
    ports = ["--http-port", "0", "--https-port", "0"]
    assert main([*ports, "--data-dir", str(data), "--mode", "fixed"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("bedrock-emulator: ") and len(shown.err.splitlines()) == 1
    assert damaged in shown.err
    assert (data / damaged).read_bytes() == content


def test_a_log_folder_that_has_gone_costs_no_record(tmp_path):
    config = ONE_ACCOUNT.format(log_dir="logs") + "[log]\ndelay_ms = 600000\n"
    with start_emulator(tmp_path, config=config, mode="fixed") as emulator:
        folder = emulator.pool.log_dir
        answer = emulator.client().converse(modelId=NOVA, messages=HELLO)
        folder.rmdir()
        folder.touch()
        with pytest.raises(urllib.error.HTTPError, match="500") as refused:
            emulator.own("POST", "flush-logs")
        with refused.value as told:
            assert str(folder) in json.loads(told.read())["message"]
        assert emulator.stop() == 0
    folder.unlink()
    with start_emulator(tmp_path, config=config, mode="fixed") as emulator:
        [record] = emulator.logged()
        assert record["requestId"] == answer["ResponseMetadata"]["RequestId"]
        assert emulator.bill()["totals"]["555555555555"]["invocations"] == 1


def test_a_start_that_is_broken_off_says_nothing(tmp_path):
    settings = tmp_path / "emulator.toml"
    os.mkfifo(settings)
    command = [sys.executable, "-m", "bedrock_emulator", "--config", str(settings)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
        settings.open("w"),  # which waits until the emulator reads it
    ):
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=30)
    assert (process.returncode, shown) == (130, b"")


def test_one_data_folder_has_one_emulator_and_a_taken_port_is_named(tmp_path):
    with start_emulator(tmp_path) as emulator:
        with pytest.raises(RuntimeError, match="in use by another emulator"):
            start_emulator(tmp_path)
        other = tmp_path / "other"
        other.mkdir()
        port = int(emulator.url.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}"):
            start_emulator(other, http_port=port)


def test_sigterm_in_the_middle_of_a_stream_bills_it(tmp_path):
    with start_emulator(tmp_path) as emulator:
        emulator.rules({"action": {"kind": "hang", "after_events": 2, "bill": "full"}})
        stream = emulator.client().converse_stream(modelId=NOVA, messages=HELLO)["stream"]
        next(iter(stream))
        emulator.rules({"action": {"kind": "slow_tokens", "delay_ms": 60_000}})
        slow = threading.Thread(target=_try, args=(emulator.client(), NOVA))
        slow.start()
        eventually(lambda: emulator.own("GET", "stats")["requests"].get("Converse"))
        assert emulator.stop() == 0
        slow.join()
        stream.close()
        lines = (emulator.data_dir / "bill.jsonl").read_text().splitlines()
        billed = [json.loads(line) for line in lines]
        logged = read_log(emulator.pool.log_dir)
        assert {record["request_id"] for record in billed} == {r["requestId"] for r in logged}
        assert [record["usage"]["output"] > 0 for record in billed] == [True, True]


def _try(client, model):
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.converse(modelId=model, messages=HELLO)
    except (BotoCoreError, ClientError):
        return


def test_it_ends_with_its_parent(tmp_path):
    """A middle process starts the emulator and is killed."""
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'bedrock_emulator', '--exit-with-parent',"
        " '--mode', 'fixed', '--http-port', '0', '--https-port', '0', '--data-dir', sys.argv[1]])\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ready = json.loads(parent.stdout.readline())
        parent.kill()
        parent.wait()
    port = int(ready["url"].rsplit(":", 1)[1])

    def closed():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    assert eventually(closed)


def test_the_authority_signs_the_loopback_names(emulator):
    context = ssl.create_default_context(cafile=str(emulator.ca_bundle))
    port = int(emulator.https_url.rsplit(":", 1)[1])
    for name in ("127.0.0.1", "localhost", "bedrock-runtime.us-east-1.localhost"):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            assert secured.version() in ("TLSv1.2", "TLSv1.3")
    key = emulator.data_dir / "tls" / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_help_names_every_option():
    shown = subprocess.run(
        [sys.executable, "-m", "bedrock_emulator", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    ).stdout
    for option in ("--config", "--data-dir", "--http-port", "--mode", "--exit-with-parent"):
        assert option in shown


@pytest.mark.parametrize("command", [["-m", "bedrock_emulator"], [*TENANTRY, "emulator"]])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_ends_it_ends_it_in_order(tmp_path, command, ending):
    """Whoever was called to start it."""
    with _begun(tmp_path, command, signal.SIG_DFL) as process:
        process.send_signal(ending)
        assert process.wait(30) == 0
    with start_emulator(tmp_path):
        pass  # nobody holds the folder any more


def test_what_nohup_started_stays(tmp_path):
    with _begun(tmp_path, ["-m", "bedrock_emulator"], signal.SIG_IGN) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(0)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        assert process.wait(30) == 0


@contextlib.contextmanager
def _begun(folder, command, hangup):
    options = ["--http-port", "0", "--https-port", "0", "--mode", "fixed", "--data-dir"]
    with subprocess.Popen(
        [sys.executable, *command, *options, str(folder / "emulator")],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, hangup),
    ) as process:
        try:
            assert "url" in json.loads(process.stdout.readline())
            yield process
        finally:
            process.kill()
