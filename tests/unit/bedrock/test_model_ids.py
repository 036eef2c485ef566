"""Every way that Bedrock names a model, parsed; everything else is none."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.domain.model_ids import ModelKind, Operation, Scope, parse_model_id, upstream_path

ACCOUNT = "123456789012"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    "base_id",
    [
        CLAUDE,
        "anthropic.claude-v2",
        "anthropic.claude-sonnet-4-6",
        "amazon.titan-embed-text-v2:0",
        "amazon.nova-pro-v1:0:300k",
        "openai.gpt-oss-120b-1:0",
        "meta.llama3-3-70b-instruct-v1:0",
        "deepseek.v3.2",
        "emulator.obedient-v1",
        "ai21.jamba-1-5-large-v1:0",
    ],
)
def test_base_ids(base_id):
    ref = parse_model_id(base_id)
    assert ref is not None
    assert (ref.base_id, ref.scope, ref.kind) == (
        base_id,
        Scope.REGIONAL,
        ModelKind.FOUNDATION_MODEL,
    )
    assert (ref.region, ref.account, ref.profile_prefix) == (None, None, None)


@pytest.mark.parametrize("prefix", ["us", "eu", "apac", "jp", "au", "ca", "in", "us-gov", "global"])
def test_cross_region_profiles(prefix):
    ref = parse_model_id(f"{prefix}.{CLAUDE}")
    assert ref is not None
    assert ref.base_id == CLAUDE
    assert ref.scope is (Scope.GLOBAL if prefix == "global" else Scope.GEO)
    assert ref.profile_prefix == prefix
    assert ref.kind is ModelKind.INFERENCE_PROFILE


def test_the_arn_of_a_foundation_model():
    ref = parse_model_id(f"arn:aws:bedrock:eu-central-1::foundation-model/{CLAUDE}")
    assert ref is not None
    assert (ref.base_id, ref.region, ref.account) == (CLAUDE, "eu-central-1", None)
    assert ref.kind is ModelKind.FOUNDATION_MODEL


def test_the_arn_of_a_system_profile():
    ref = parse_model_id(f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{CLAUDE}")
    assert ref is not None
    assert (ref.base_id, ref.scope, ref.account) == (CLAUDE, Scope.GEO, ACCOUNT)
    assert ref.profile_prefix == "us"


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        (ModelKind.APPLICATION_PROFILE, "otnfa2ysixqd"),
        (ModelKind.PROVISIONED_MODEL, "abc123def456"),
        (ModelKind.CUSTOM_MODEL, "amazon.nova-lite-v1:0:300k/abcdef123456"),
        (ModelKind.CUSTOM_DEPLOYMENT, "abcdef123456"),
        (ModelKind.IMPORTED_MODEL, "abcdef123456"),
        (ModelKind.PROMPT, "ABCDEFGHIJ:1"),
        (ModelKind.PROMPT_ROUTER, "abcdef123456"),
    ],
)
def test_what_only_the_account_can_resolve(kind, resource):
    ref = parse_model_id(f"arn:aws-us-gov:bedrock:us-gov-west-1:{ACCOUNT}:{kind.value}/{resource}")
    assert ref is not None
    assert (ref.base_id, ref.kind, ref.resource_id) == (None, kind, resource)
    assert (ref.region, ref.account) == ("us-gov-west-1", ACCOUNT)


def test_a_sagemaker_endpoint():
    ref = parse_model_id(f"arn:aws:sagemaker:us-west-2:{ACCOUNT}:endpoint/my-endpoint")
    assert ref is not None
    assert ref.kind is ModelKind.ENDPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "claude",
        "us",
        "us.",
        f"us.us.{CLAUDE}",
        f"global.eu.{CLAUDE}",
        "anthropic.claude\n",
        "anthropic.claude/../x",
        "anthropic.clаude",  # a Cyrillic letter
        f"arn:aws:bedrock:us-east-1::foundation-model/us.{CLAUDE}",
        f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/{CLAUDE}",
        f"arn:aws:s3:us-east-1:{ACCOUNT}:foundation-model/{CLAUDE}",
        f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:foundation-model/{CLAUDE}",
        f"arn:aws:bedrock:us-east-1:{ACCOUNT}:endpoint/x",
        f"arn:aws:bedrock:us-east-1:12:application-inference-profile/{CLAUDE}",
        "arn:aws:bedrock:us-east-1:123456789012:teapot/x",
        f"arn:aws:bedrock:us-east::foundation-model/{CLAUDE}",
        "anthropic." + "x" * 3_000,
    ],
)
def test_what_is_no_model(text):
    assert parse_model_id(text) is None


@given(st.text(max_size=80))
def test_no_text_makes_the_parser_raise(text):
    parse_model_id(text)
    parse_model_id("arn:aws:bedrock:" + text)


@pytest.mark.parametrize(
    "operation",
    [
        one
        for one in Operation
        if one is not Operation.APPLY_GUARDRAIL and one.service == "bedrock-runtime"
    ],
)
def test_a_path_holds_any_id_in_one_segment(operation):
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/otnfa2ysixqd"
    path = upstream_path(arn, operation)
    _, model, segment, last = path.split("/")
    assert (model, unquote(segment), last) == ("model", arn, operation.value)
    assert upstream_path("x:0", Operation.CONVERSE) == "/model/x%3A0/converse"


def test_a_guardrails_path_has_its_version_apart():
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:guardrail/gr1"
    path = upstream_path(f"{arn}:DRAFT", Operation.APPLY_GUARDRAIL)
    assert path == f"/guardrail/{arn.replace(':', '%3A').replace('/', '%2F')}/version/DRAFT/apply"


def test_a_jobs_path_is_the_control_planes():
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/abc"
    quoted = arn.replace(":", "%3A").replace("/", "%2F")
    assert upstream_path(arn, Operation.GET_BATCH) == f"/model-invocation-job/{quoted}"
    assert upstream_path("job", Operation.CREATE_BATCH) == "/model-invocation-job"
    assert (Operation.GET_BATCH.method, Operation.CREATE_BATCH.method) == ("GET", "POST")


@pytest.mark.parametrize("model_id", ["", ".", ".."])
def test_a_dot_segment_is_no_model(model_id):
    with pytest.raises(ValueError, match="model id"):
        upstream_path(model_id, Operation.INVOKE)
