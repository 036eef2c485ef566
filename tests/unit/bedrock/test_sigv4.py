"""Our signatures are botocore's, byte for byte; the verifier takes nothing else."""

import hashlib
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.domain import sigv4
from tenantry.domain.sigv4 import SignatureProblem, SignedRequest, VerifiedSignature

NOW = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)
TIMESTAMP = "20261123T123015Z"
REGION = "us-east-1"
ACCESS_KEY_ID = "AKIAEXAMPLE0000000A1"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "gateway.example:8443"

PATH_ALPHABET = "abcXYZ019-_.~%3A2F:/@$&+,;=!*'()é "
path = st.text(PATH_ALPHABET, max_size=40).map(lambda text: "/" + text)
pairs = st.lists(
    st.tuples(st.text("ab%3AF-_.~", min_size=1, max_size=6), st.text("01%2F+", max_size=6)),
    max_size=5,
)
header_value = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
header_names = st.sampled_from(
    ["content-type", "accept", "x-amzn-bedrock-service-tier", "x-custom", "amz-sdk-request"]
)
headers = st.dictionaries(header_names, header_value, max_size=4)
bodies = st.binary(max_size=200)


def boto_sign(method, raw_path, query, sent, body, token=None):
    """The request's headers after botocore has signed it at NOW."""
    url = f"https://{HOST}{raw_path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=dict(sent))
    signer = SigV4Auth(BotoCredentials(ACCESS_KEY_ID, SECRET, token), "bedrock", REGION)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        signer.add_auth(request)
    return [*request.headers.items(), ("host", HOST)]


def as_received(method, raw_path, query, sent, body):
    return SignedRequest(method, raw_path, query, sent, hashlib.sha256(body).hexdigest())


def verdict(request, now=NOW, secret=SECRET):
    header = next(value for name, value in request.headers if name.lower() == "authorization")
    parsed = sigv4.parse_authorization(header)
    if isinstance(parsed, SignatureProblem):
        return parsed
    # As a directory would: another access key has another secret.
    secret = secret if parsed.scope.access_key_id == ACCESS_KEY_ID else "of another"
    key = sigv4.signing_key(secret, parsed.scope.date, parsed.scope.region)
    return sigv4.verify(parsed, request, key, now)


def query_of(items):
    return "&".join(f"{name}={value}" for name, value in items)


@given(st.sampled_from(["GET", "POST", "put"]), path, pairs, headers, bodies)
def test_the_verifier_accepts_what_botocore_signs(method, raw_path, items, sent, body):
    query = query_of(items)
    signed = boto_sign(method, raw_path, query, sent, body)
    verified = verdict(as_received(method, raw_path, query, signed, body))
    assert isinstance(verified, VerifiedSignature)
    assert verified.access_key_id == ACCESS_KEY_ID
    assert verified.region == REGION
    assert verified.signed_at == NOW


def test_the_path_is_encoded_twice():
    assert sigv4.canonical_path("/model/x%3A0/converse") == "/model/x%253A0/converse"
    arn = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprofile%2Fp/converse"
    assert sigv4.canonical_path(arn) == arn.replace("%", "%25")


def test_a_long_path_is_encoded_alike():
    raw_path = "/model/" + "x%3A0" * 400 + "/converse"
    assert sigv4.canonical_path(raw_path) == raw_path.replace("%", "%25")


BODY = b'{"messages":[{"role":"user","content":[{"text":"hello"}]}]}'
RAW_PATH = "/model/us.amazon.nova-lite-v1%3A0/converse"
QUERY = "a=1&b=2"


def signed_example():
    sent = {"Content-Type": "application/json", "x-custom": "one two"}
    return boto_sign("POST", RAW_PATH, QUERY, sent, BODY)


def flip(text, index):
    return text[:index] + chr(ord(text[index]) ^ 1) + text[index + 1 :]


@given(st.data())
@settings(max_examples=300)
def test_every_tampered_byte_is_refused(data):
    """Each single changed byte of path, query, body, bound header or signature."""
    signed = signed_example()
    where = data.draw(st.sampled_from(["path", "query", "body", "header"]))
    raw_path, query, body = RAW_PATH, QUERY, BODY
    if where == "path":
        raw_path = flip(raw_path, data.draw(st.integers(0, len(raw_path) - 1)))
    elif where == "query":
        query = flip(query, data.draw(st.integers(0, len(query) - 1)))
    elif where == "body":
        index = data.draw(st.integers(0, len(body) - 1))
        body = (
            body[:index] + bytes([body[index] ^ data.draw(st.integers(1, 255))]) + body[index + 1 :]
        )
    else:
        position = data.draw(st.integers(0, len(signed) - 1))
        name, value = signed[position]
        index = data.draw(st.integers(0, len(value) - 1))
        signed[position] = (name, flip(value, index))
    request = as_received("POST", raw_path, query, signed, body)
    assert isinstance(verdict(request), SignatureProblem)


def test_method_and_secret_are_bound():
    signed = signed_example()
    request = as_received("PUT", RAW_PATH, QUERY, signed, BODY)
    assert verdict(request) is SignatureProblem.MISMATCH
    request = as_received("POST", RAW_PATH, QUERY, signed, BODY)
    assert verdict(request, secret=SECRET + "x") is SignatureProblem.MISMATCH


@pytest.mark.parametrize(
    ("off", "problem"),
    [
        (timedelta(minutes=5), None),
        (-timedelta(minutes=5), None),
        (timedelta(minutes=5, seconds=1), SignatureProblem.CLOCK_SKEW),
        (-timedelta(minutes=5, seconds=1), SignatureProblem.CLOCK_SKEW),
    ],
)
def test_five_minutes_of_skew(off, problem):
    request = as_received("POST", RAW_PATH, QUERY, signed_example(), BODY)
    result = verdict(request, now=NOW + off)
    assert result is problem if problem else isinstance(result, VerifiedSignature)


def test_session_tokens_are_refused():
    signed = boto_sign("POST", RAW_PATH, "", {}, BODY, token="session")
    request = as_received("POST", RAW_PATH, "", signed, BODY)
    assert verdict(request) is SignatureProblem.SESSION_TOKEN


def test_an_unsigned_payload_is_refused():
    sent = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    signed = boto_sign("POST", RAW_PATH, "", sent, BODY)
    request = as_received("POST", RAW_PATH, "", signed, BODY)
    assert verdict(request) is SignatureProblem.PAYLOAD_NOT_SIGNED


def test_another_service_is_refused():
    signed = [
        (name, value.replace("/bedrock/", "/s3/") if name == "Authorization" else value)
        for name, value in signed_example()
    ]
    request = as_received("POST", RAW_PATH, QUERY, signed, BODY)
    assert verdict(request) is SignatureProblem.WRONG_SERVICE


def test_the_host_must_be_signed():
    signed = [
        (name, value.replace("host;", "") if name == "Authorization" else value)
        for name, value in signed_example()
    ]
    request = as_received("POST", RAW_PATH, QUERY, signed, BODY)
    assert verdict(request) is SignatureProblem.HOST_NOT_SIGNED


DECIDING = [
    ("x-tenantry-groups", "hr"),
    ("x-tenantry-user", "anna"),
    ("x-tenantry-tags", "a=b"),
    ("x-tenantry-run", "one"),
    ("x-tenantry-knowledge", "5"),
    ("X-Tenantry-Anything", "to come"),
    ("idempotency-key", "again"),
    ("x-amzn-bedrock-guardrailidentifier", "none"),
]


@pytest.mark.parametrize(("name", "value"), DECIDING)
def test_a_header_that_decides_must_be_signed(name, value):
    """Else whoever overheard a request could send it again with that header."""
    signed = boto_sign("POST", RAW_PATH, "", {name: value}, BODY)
    request = as_received("POST", RAW_PATH, "", signed, BODY)
    assert isinstance(verdict(request), VerifiedSignature)
    for added in ((name, value), (name.upper(), value)):
        request = as_received("POST", RAW_PATH, QUERY, [*signed_example(), added], BODY)
        assert verdict(request) is SignatureProblem.HEADER_NOT_SIGNED
    twice = as_received("POST", RAW_PATH, "", [*signed, (name, "x")], BODY)
    assert verdict(twice) is SignatureProblem.MISMATCH


@pytest.mark.parametrize(
    "name",
    ["x-amzn-trace-id", "x-forwarded-for", "amz-sdk-invocation-id", "amz-sdk-request", "via"],
)
def test_what_a_balancer_or_an_sdk_adds_later_need_not_be_signed(name):
    request = as_received("POST", RAW_PATH, QUERY, [*signed_example(), (name, "1")], BODY)
    assert isinstance(verdict(request), VerifiedSignature)


def signed_over(name):
    """As the AWS SDK for JavaScript signs over HTTP/2, where `name` is `:authority`."""
    given, names = [(name, HOST), ("x-amz-date", TIMESTAMP)], (name, "x-amz-date")
    empty = hashlib.sha256(b"").hexdigest()
    canonical = sigv4.canonical_request("POST", RAW_PATH, "", given, names, empty)
    key = sigv4.signing_key(SECRET, TIMESTAMP[:8], REGION)
    made = sigv4.signature(key, canonical, TIMESTAMP, REGION)
    scope = f"{ACCESS_KEY_ID}/{TIMESTAMP[:8]}/{REGION}/bedrock/aws4_request"
    told = (
        f"{sigv4.ALGORITHM} Credential={scope}, SignedHeaders={';'.join(names)}, Signature={made}"
    )
    return [*given, ("authorization", told)]


def test_the_host_may_be_signed_by_its_name_in_http_2():
    sent = signed_over(":authority")
    assert isinstance(verdict(as_received("POST", RAW_PATH, "", sent, b"")), VerifiedSignature)
    for wrong, problem in (
        ([(":authority", "elsewhere"), *sent[1:]], SignatureProblem.MISMATCH),
        ([("host", HOST), *sent[1:]], SignatureProblem.MALFORMED),
        ([*sent, sent[0]], SignatureProblem.MALFORMED),
        (signed_over(":path"), SignatureProblem.MALFORMED),
        (signed_over("a-host"), SignatureProblem.HOST_NOT_SIGNED),
    ):
        assert verdict(as_received("POST", RAW_PATH, "", wrong, b"")) is problem


@pytest.mark.parametrize("name", ["host", "x-amz-date", "Authorization"])
def test_a_repeated_header_that_matters_is_refused(name):
    signed = signed_example()
    doubled = next(pair for pair in signed if pair[0].lower() == name.lower())
    request = as_received("POST", RAW_PATH, QUERY, [doubled, *signed], BODY)
    assert verdict(request) is SignatureProblem.MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20261123/r/bedrock/aws4_request, "
        "SignedHeaders=x;host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20261123/r/bedrock/aws4_request, "
        "SignedHeaders=host, Signature=" + "A" * 64,
        "AWS4-HMAC-SHA256 Credential=a/2026١١23/r/bedrock/aws4_request, "
        "SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 " + "x" * 5_000,
    ],
)
def test_malformed_headers(header):
    assert sigv4.parse_authorization(header) is SignatureProblem.MALFORMED


@given(st.text(max_size=200))
def test_no_header_makes_the_parser_raise(header):
    sigv4.parse_authorization(header)
    sigv4.parse_authorization("AWS4-HMAC-SHA256 " + header)


@pytest.mark.parametrize("timestamp", ["20261323T123015Z", "20261123T123015", "٢0261123T123015Z"])
def test_a_timestamp_that_is_none(timestamp):
    signed = [
        (name, timestamp if name.lower() == "x-amz-date" else value)
        for name, value in signed_example()
    ]
    request = as_received("POST", RAW_PATH, QUERY, signed, BODY)
    assert verdict(request) is SignatureProblem.MALFORMED


def test_lone_surrogates_are_refused():
    signed = [(n, "\ud800" if n.lower() == "x-custom" else v) for n, v in signed_example()]
    request = as_received("POST", RAW_PATH, QUERY, signed, BODY)
    assert verdict(request) is SignatureProblem.MALFORMED
    request = as_received("POST", RAW_PATH + "\ud800", QUERY, signed_example(), BODY)
    assert verdict(request) is SignatureProblem.MALFORMED
