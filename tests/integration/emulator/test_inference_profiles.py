"""Application inference profiles and provisioned models, made and called by unmodified boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from tests.support.emulator import start_emulator

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
HELLO = [{"role": "user", "content": [{"text": "Say hello."}]}]
REGION = "us-east-1"


def model_arn(model, region=REGION):
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


def system_arn(account, profile):
    return f"arn:aws:bedrock:{REGION}:{account.id}:inference-profile/{profile}"


def make(control, source, name="a name", **members):
    answer = control.create_inference_profile(
        inferenceProfileName=name, modelSource={"copyFrom": source}, **members
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert answer["status"] == "ACTIVE"
    return answer["inferenceProfileArn"]


def refused(call, **members):
    with pytest.raises(ClientError) as caught:
        call(**members)
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status, caught.value.response["Error"]["Code"]


@pytest.fixture(params=["pool", "silo"])
def account(request, emulator):
    return getattr(emulator, request.param)


@pytest.fixture
def control(emulator, account):
    return emulator.client("bedrock", account)


@pytest.mark.parametrize("geography", [None, "us", "global"])
def test_calls_by_arn_reach_the_model_and_are_booked_under_it(
    emulator, account, control, geography
):
    source = (
        model_arn(CLAUDE) if geography is None else system_arn(account, f"{geography}.{CLAUDE}")
    )
    arn = make(control, source)
    client = emulator.client(account=account)
    whole = client.converse(modelId=arn, messages=HELLO)
    streamed = client.converse_stream(modelId=arn, messages=HELLO)
    usage = list(streamed["stream"])[-1]["metadata"]["usage"]
    assert usage["inputTokens"] == whole["usage"]["inputTokens"]
    ids = {answer["ResponseMetadata"]["RequestId"] for answer in (whole, streamed)}
    billed = [r for r in emulator.bill(account.id)["records"] if r["request_id"] in ids]
    logged = [r for r in emulator.logged(account) if r["requestId"] in ids]
    assert {(record["model_id"], record["model"]) for record in billed} == {(arn, CLAUDE)}
    assert {record["modelId"] for record in logged} == {arn}
    assert len(billed) == len(logged) == 2
    if geography is None:
        assert not any("inferenceRegion" in record for record in logged)


def test_an_embedding_model_has_profiles_too(emulator, account, control):
    arn = make(control, model_arn(TITAN))
    response = emulator.client(account=account).invoke_model(
        modelId=arn, body=json.dumps({"inputText": "two tenants", "dimensions": 256})
    )
    assert len(json.loads(response["body"].read())["embedding"]) == 256


def test_get_by_id_and_arn(account, control):
    arn = make(control, model_arn(NOVA), "Nova for a", description="of tenant a")
    by_arn = control.get_inference_profile(inferenceProfileIdentifier=arn)
    by_id = control.get_inference_profile(inferenceProfileIdentifier=arn.rpartition("/")[2])
    del by_arn["ResponseMetadata"], by_id["ResponseMetadata"]
    assert by_arn == by_id
    assert by_id["inferenceProfileName"] == "Nova for a"
    assert by_id["description"] == "of tenant a"
    assert by_id["models"] == [{"modelArn": model_arn(NOVA)}]
    assert (by_id["type"], by_id["status"]) == ("APPLICATION", "ACTIVE")
    system = control.get_inference_profile(inferenceProfileIdentifier=f"us.{NOVA}")
    assert system["type"] == "SYSTEM_DEFINED"
    assert system["inferenceProfileArn"] == system_arn(account, f"us.{NOVA}")
    assert len(system["models"]) > 1


def test_lists_by_type_and_page(control):
    made = {make(control, model_arn(NOVA), f"page {n}") for n in range(5)}
    pages = control.get_paginator("list_inference_profiles")
    mine, lengths = [], []
    for page in pages.paginate(typeEquals="APPLICATION", PaginationConfig={"PageSize": 2}):
        mine += page["inferenceProfileSummaries"]
        lengths.append(len(page["inferenceProfileSummaries"]))
    assert made <= {summary["inferenceProfileArn"] for summary in mine}
    assert max(lengths) == 2
    assert len({summary["inferenceProfileId"] for summary in mine}) == len(mine)
    system = control.list_inference_profiles(typeEquals="SYSTEM_DEFINED", maxResults=1000)
    ids = {summary["inferenceProfileId"] for summary in system["inferenceProfileSummaries"]}
    assert {f"us.{CLAUDE}", f"global.{CLAUDE}"} <= ids
    assert not any(name.startswith("eu.") for name in ids)
    everything = pages.paginate().build_full_result()["inferenceProfileSummaries"]
    assert len(everything) == len(ids) + len(mine)


def test_tags(control):
    arn = make(control, model_arn(NOVA), tags=[{"key": "tenant", "value": "a"}])
    control.tag_resource(
        resourceARN=arn, tags=[{"key": "tenant", "value": "b"}, {"key": "tier", "value": ""}]
    )
    tags = control.list_tags_for_resource(resourceARN=arn)["tags"]
    assert tags == [{"key": "tenant", "value": "b"}, {"key": "tier", "value": ""}]
    control.untag_resource(resourceARN=arn, tagKeys=["tier", "not there"])
    tags = control.list_tags_for_resource(resourceARN=arn)["tags"]
    assert tags == [{"key": "tenant", "value": "b"}]


def test_the_same_token_makes_the_same_profile(control, account):
    token = f"once-{account.id}"
    first = make(control, model_arn(NOVA), clientRequestToken=token)
    assert make(control, model_arn(NOVA), clientRequestToken=token) == first
    assert refused(
        control.create_inference_profile,
        inferenceProfileName="another",
        modelSource={"copyFrom": model_arn(NOVA)},
        clientRequestToken=token,
    ) == (400, "ConflictException")


def test_a_deleted_profile_is_called_no_more(emulator, account, control):
    arn = make(control, model_arn(NOVA))
    client = emulator.client(account=account)
    client.converse(modelId=arn, messages=HELLO)
    control.delete_inference_profile(inferenceProfileIdentifier=arn)
    gone = (404, "ResourceNotFoundException")
    assert refused(client.converse, modelId=arn, messages=HELLO) == gone
    assert refused(control.get_inference_profile, inferenceProfileIdentifier=arn) == gone
    assert refused(control.delete_inference_profile, inferenceProfileIdentifier=arn) == gone
    assert refused(control.list_tags_for_resource, resourceARN=arn) == gone


def test_another_account_s_profile_is_out_of_reach(emulator):
    control = emulator.client("bedrock", emulator.pool)
    arn = make(control, model_arn(NOVA), tags=[{"key": "tenant", "value": "a"}])
    other = emulator.client("bedrock", emulator.silo)
    denied = (403, "AccessDeniedException")
    called = emulator.client(account=emulator.silo).converse
    assert refused(called, modelId=arn, messages=HELLO) == denied
    assert refused(other.get_inference_profile, inferenceProfileIdentifier=arn) == denied
    assert refused(other.delete_inference_profile, inferenceProfileIdentifier=arn) == denied
    assert refused(other.list_tags_for_resource, resourceARN=arn) == denied
    own_id = arn.rpartition("/")[2]
    assert refused(other.get_inference_profile, inferenceProfileIdentifier=own_id)[0] == 404
    there = emulator.client("bedrock", emulator.pool, region="eu-central-1")
    assert refused(there.get_inference_profile, inferenceProfileIdentifier=arn)[0] == 400
    called = emulator.client(region="eu-central-1").converse
    assert refused(called, modelId=arn, messages=HELLO) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"inferenceProfileName": "a  b"}, 400),
        ({"inferenceProfileName": "x" * 65}, 400),
        ({"modelSource": {"copyFrom": "amazon.nova-lite-v1:0"}}, 400),
        ({"modelSource": {"copyFrom": model_arn("no.such-model")}}, 400),
        ({"modelSource": {"copyFrom": model_arn(NOVA, "eu-central-1")}}, 400),
        (
            {
                "modelSource": {
                    "copyFrom": f"arn:aws:bedrock:{REGION}:999999999999:inference-profile/us.{NOVA}"
                }
            },
            403,
        ),
        ({"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, 400),
        ({"tags": [{"key": "aws:a", "value": "1"}]}, 400),
        ({"tags": [{"key": str(n), "value": ""} for n in range(201)]}, 400),
        ({"clientRequestToken": "-"}, 400),
    ],
)
def test_what_cannot_be_made_is_refused(emulator, members, status):
    control = emulator.client("bedrock", parameter_validation=False)
    asked = {"inferenceProfileName": "x", "modelSource": {"copyFrom": model_arn(NOVA)}, **members}
    assert refused(control.create_inference_profile, **asked)[0] == status


def test_system_defined_profiles_stay(control, account):
    for identifier in (f"us.{NOVA}", system_arn(account, f"us.{NOVA}")):
        call = control.delete_inference_profile
        assert refused(call, inferenceProfileIdentifier=identifier) == (400, "ValidationException")
    arn = system_arn(account, f"us.{NOVA}")
    assert refused(control.list_tags_for_resource, resourceARN=arn)[0] == 404


def test_profiles_outlive_the_emulator_and_provisioned_models_are_configured(tmp_path):
    config = f"""
    [[accounts]]
    id = "555555555555"
    regions = ["us-east-1"]
    [[accounts.credentials]]
    access_key_id = "AKIA5"
    secret_access_key = "s"
    [[accounts.provisioned]]
    id = "abcdefghij12"
    model = "{NOVA}"
    [[accounts.quotas]]
    requests_per_minute = 0
    [[accounts]]
    id = "666666666666"
    regions = ["us-east-1"]
    [[accounts.credentials]]
    access_key_id = "AKIA6"
    secret_access_key = "s"
    """
    bought = f"arn:aws:bedrock:{REGION}:555555555555:provisioned-model/abcdefghij12"
    with start_emulator(tmp_path, config=config) as emulator:
        answer = emulator.client().converse(modelId=bought, messages=HELLO)
        [billed] = emulator.bill()["records"]
        assert (billed["model_id"], billed["model"]) == (bought, NOVA)
        assert billed["usage"]["output"] == answer["usage"]["outputTokens"]
        assert emulator.logged()[0]["modelId"] == bought
        plain = emulator.client().converse
        assert refused(plain, modelId=NOVA, messages=HELLO)[0] == 429
        unknown = bought.replace("12", "13")
        assert refused(plain, modelId=unknown, messages=HELLO)[0] == 404
        theirs = emulator.client(account=emulator.silo).converse
        assert refused(theirs, modelId=bought, messages=HELLO)[0] == 403
        arn = make(emulator.client("bedrock", emulator.silo), model_arn(NOVA))
    with start_emulator(tmp_path, config=config) as emulator:
        theirs = emulator.client(account=emulator.silo).converse
        assert theirs(modelId=arn, messages=HELLO)["stopReason"] == "end_turn"
