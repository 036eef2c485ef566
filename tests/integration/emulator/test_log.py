"""The invocation log: Bedrock's fields, its switches, its folders, nothing lost."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from tests.support.emulator import read_log, start_emulator

NOVA = "amazon.nova-lite-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
SECRET = "the-secret-of-one-tenant"
HELLO = [{"role": "user", "content": [{"text": SECRET}]}]
SLOW_LOG = """
[log]
delay_ms = 3_600_000
"""


def bodies_on(**switches):
    return {
        "s3Config": {"bucketName": "the-logs", "keyPrefix": "some/prefix"},
        **{f"{name}DataDeliveryEnabled": value for name, value in switches.items()},
    }


def test_counts_only_by_default_and_each_account_in_its_folder(emulator):
    ids = {}
    for account in (emulator.pool, emulator.silo):
        client = emulator.client(account=account)
        response = client.converse(modelId=NOVA, messages=HELLO, requestMetadata={"tid": "a"})
        ids[account.id] = response["ResponseMetadata"]["RequestId"]
        with pytest.raises(ClientError):
            client.converse(modelId="no.such-model", messages=HELLO)
    for account in (emulator.pool, emulator.silo):
        records = emulator.logged(account)
        assert {record["accountId"] for record in records} == {account.id}
        [record] = [record for record in records if record["requestId"] == ids[account.id]]
        assert set(record) == {
            "schemaType",
            "schemaVersion",
            "timestamp",
            "accountId",
            "identity",
            "region",
            "requestId",
            "operation",
            "modelId",
            "requestMetadata",
            "input",
            "output",
        }
        assert set(record["input"]) == {
            "inputContentType",
            "inputTokenCount",
            "cacheReadInputTokenCount",
            "cacheWriteInputTokenCount",
        }
        assert set(record["output"]) == {"outputContentType", "outputTokenCount"}
        assert record["schemaType"] == "ModelInvocationLog"
        assert record["identity"]["arn"].startswith(f"arn:aws:iam::{account.id}:")
        assert SECRET not in json.dumps(records)
        assert "ValidationException" in {record.get("errorCode") for record in records}


def test_the_log_equals_the_bill(emulator):
    client = emulator.client()
    for _ in range(3):
        client.converse(modelId=NOVA, messages=HELLO)
        list(client.converse_stream(modelId=NOVA, messages=HELLO)["stream"])
        client.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "text"}))
    billed = {
        record["request_id"]: (record["usage"]["input"], record["usage"]["output"])
        for record in emulator.bill(emulator.pool.id)["records"]
        if record["service_tier"] != "batch"  # no invocation of the runtime, and not in its log
    }
    logged = {
        record["requestId"]: (
            record["input"]["inputTokenCount"],
            record["output"]["outputTokenCount"],
        )
        for record in emulator.logged()
        if "inputTokenCount" in record["input"]
    }
    assert logged == billed


def test_switches_through_the_control_plane(tmp_path):
    with start_emulator(tmp_path) as emulator:
        control, silo_control = (
            emulator.client("bedrock", account=account) for account in emulator.accounts
        )
        runtime, silo = (emulator.client(account=account) for account in emulator.accounts)
        control.put_model_invocation_logging_configuration(
            loggingConfig=bodies_on(text=True, embedding=False)
        )
        config = control.get_model_invocation_logging_configuration()["loggingConfig"]
        assert config["textDataDeliveryEnabled"] is True
        assert config["imageDataDeliveryEnabled"] is False
        assert config["s3Config"]["keyPrefix"] == "some/prefix"
        runtime.converse(modelId=NOVA, messages=HELLO)
        list(runtime.converse_stream(modelId=NOVA, messages=HELLO)["stream"])
        runtime.invoke_model(modelId=TITAN, body=json.dumps({"inputText": SECRET}))
        silo.converse(modelId=NOVA, messages=HELLO)
        records = emulator.logged(emulator.pool)
        assert list((emulator.pool.log_dir / "some" / "prefix" / "AWSLogs").iterdir())
        by_operation = {record["operation"]: record for record in records}
        plain, streamed = by_operation["Converse"], by_operation["ConverseStream"]
        assert plain["input"]["inputBodyJson"]["messages"] == HELLO
        message = plain["output"]["outputBodyJson"]["output"]["message"]
        assert streamed["output"]["outputBodyJson"]["output"]["message"] == message
        assert "inputBodyJson" not in by_operation["InvokeModel"]["input"]
        assert SECRET not in json.dumps(emulator.logged(emulator.silo))

        silo_control.delete_model_invocation_logging_configuration()
        assert "loggingConfig" not in silo_control.get_model_invocation_logging_configuration()
        silo.converse(modelId=NOVA, messages=HELLO)
        assert len(emulator.logged(emulator.silo)) == 1
        assert emulator.bill()["totals"][emulator.silo.id]["invocations"] == 2


def test_a_body_as_deep_as_may_be_is_logged_and_a_deeper_one_refused(tmp_path):
    def body(levels):
        value = "a"
        for _ in range(levels - 9):  # a schema stands nine levels deep
            value = [value]
        schema = {"type": "object", "properties": {"a": {"default": value}}}
        tool = {"toolSpec": {"name": "t", "inputSchema": {"json": schema}}}
        choice = {"toolChoice": {"any": {}}}
        return json.dumps({"messages": HELLO, "toolConfig": {"tools": [tool], **choice}})

    with start_emulator(tmp_path) as emulator:
        emulator.client("bedrock").put_model_invocation_logging_configuration(
            loggingConfig=bodies_on(text=True)
        )
        client = emulator.client()
        client.invoke_model(modelId=NOVA, body=body(200))
        stream = client.invoke_model_with_response_stream(modelId=NOVA, body=body(200))
        assert len(list(stream["body"])) > 2
        for call in (client.invoke_model, client.invoke_model_with_response_stream):
            for levels in (201, 250, 500):
                with pytest.raises(ClientError, match="nested deeper") as refused:
                    call(modelId=NOVA, body=body(levels))
                assert refused.value.response["Error"]["Code"] == "ValidationException"
        assert len(emulator.bill()["records"]) == len(emulator.logged()) == 2


def test_long_bodies_lie_beside_the_records(tmp_path):
    with start_emulator(tmp_path) as emulator:
        emulator.client("bedrock").put_model_invocation_logging_configuration(
            loggingConfig=bodies_on(text=True)
        )
        long = [{"role": "user", "content": [{"text": "word " * 30_000}]}]
        emulator.client().converse(modelId=NOVA, messages=long)
        [record] = emulator.logged()
        path = record["input"]["inputBodyS3Path"]
        assert path.startswith("s3://the-logs/some/prefix/AWSLogs/")
        assert "inputBodyJson" not in record["input"]
        assert (emulator.pool.log_dir / path.removeprefix("s3://the-logs/")).exists()


def test_refused_configurations(emulator):
    control = emulator.client("bedrock")
    for config in (
        {"textDataDeliveryEnabled": False},
        {"s3Config": {"bucketName": "the-logs", "keyPrefix": "../../elsewhere"}},
        {"s3Config": {"bucketName": "the-logs", "keyPrefix": "/etc"}},
    ):
        with pytest.raises(ClientError) as caught:
            control.put_model_invocation_logging_configuration(loggingConfig=config)
        assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_records_wait_and_sigterm_delivers_them(tmp_path):
    with start_emulator(tmp_path, config=SLOW_LOG) as emulator:
        for account in emulator.accounts:
            emulator.client(account=account).converse(modelId=NOVA, messages=HELLO)
        assert [read_log(account.log_dir) for account in emulator.accounts] == [[], []]
        assert emulator.own("GET", "stats")["log_records_pending"] == 2
        assert emulator.stop() == 0
        assert [len(read_log(account.log_dir)) for account in emulator.accounts] == [1, 1]


def test_records_survive_a_kill(tmp_path):
    with start_emulator(tmp_path, config=SLOW_LOG) as emulator:
        answers = [
            emulator.client(account=account).converse(modelId=NOVA, messages=HELLO)
            for account in emulator.accounts
        ]
        emulator.process.kill()
    with start_emulator(tmp_path, config=SLOW_LOG) as emulator:
        for account, answer in zip(emulator.accounts, answers, strict=True):
            [record] = emulator.logged(account)
            assert record["requestId"] == answer["ResponseMetadata"]["RequestId"]


def test_files_appear_whole_and_out_of_order(tmp_path):
    with start_emulator(tmp_path, config=SLOW_LOG) as emulator:
        client = emulator.client()
        asked = [
            client.converse(modelId=NOVA, messages=HELLO)["ResponseMetadata"]["RequestId"]
            for _ in range(30)
        ]
        arrived = [record["requestId"] for record in emulator.logged()]
        assert sorted(arrived) == sorted(asked)
        assert arrived != asked
        assert not list(emulator.pool.log_dir.glob("**/*.tmp"))


@pytest.mark.parametrize("killed", [False, True])
def test_a_long_body_whose_folder_has_gone_is_answered_and_comes_later(tmp_path, killed):
    with start_emulator(tmp_path) as emulator:
        emulator.client("bedrock").put_model_invocation_logging_configuration(
            loggingConfig=bodies_on(text=True)
        )
        folder = emulator.pool.log_dir
        folder.rename(tmp_path / "away")
        folder.touch()
        long = [{"role": "user", "content": [{"text": "word " * 30_000}]}]
        answer = emulator.client().converse(modelId=NOVA, messages=long)
        stream = emulator.client().converse_stream(modelId=NOVA, messages=long)
        assert "metadata" in list(stream["stream"])[-1]
        assert len(emulator.bill()["records"]) == 2
        if killed:
            emulator.process.kill()
    folder.unlink()
    (tmp_path / "away").rename(folder)
    with start_emulator(tmp_path) as emulator:
        records = emulator.logged()
        assert sorted(record["requestId"] for record in records) == sorted(
            one["ResponseMetadata"]["RequestId"] for one in (answer, stream)
        )
        for record in records:
            path = record["input"]["inputBodyS3Path"].removeprefix("s3://the-logs/")
            assert (folder / path).exists()
