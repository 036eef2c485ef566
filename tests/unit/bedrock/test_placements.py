"""Where calls go when a placement names no endpoint, held to botocore's own answer."""

import botocore.session
import pytest

from bedrock_emulator.regions import bedrock_arn, is_region
from tenantry.adapters.bedrock.connections import Connections, EndpointRefused
from tenantry.adapters.bedrock.placements import endpoint_url
from tenantry.domain.model_ids import parse_model_id
from tenantry.domain.rerank import model_arn
from tenantry.ports.model import Operation, Upstream


@pytest.fixture(scope="module")
def session():
    return botocore.session.Session()


def upstream(region, url=None):
    return Upstream("111111111111", region, url, "pool")


@pytest.mark.parametrize(
    "region",
    [
        "us-east-1",
        "eu-central-1",
        "us-gov-west-1",
        "ap-southeast-2",
        "cn-north-1",
        "eusc-de-east-1",
        "us-isob-east-1",
    ],
)
def test_amazons_own_endpoints(session, region):
    theirs = session.create_client(
        "bedrock-runtime", region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
    )
    assert endpoint_url(upstream(region), Operation.CONVERSE) == theirs.meta.endpoint_url
    theirs.close()


@pytest.mark.parametrize(
    ("service", "operation"),
    [("bedrock", Operation.GET_BATCH), ("bedrock-agent-runtime", Operation.RERANK)],
)
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_other_services_have_hosts_of_their_own(session, service, operation, region):
    theirs = session.create_client(
        service, region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
    )
    assert endpoint_url(upstream(region), operation) == theirs.meta.endpoint_url
    theirs.close()


def test_every_region_has_its_partitions_hosts_and_arns(session):
    partitions = session.get_data("partitions")["partitions"]
    assert len(partitions) == 8
    for partition in partitions:
        for region in partition["regions"]:
            if region.endswith("-global"):
                continue  # of no place: nothing is called there
            host = f"bedrock-runtime.{region}.{partition['outputs']['dnsSuffix']}"
            assert endpoint_url(upstream(region), Operation.CONVERSE) == f"https://{host}"
            arn = f"arn:{partition['id']}:bedrock:{region}::foundation-model/amazon.rerank-v1:0"
            assert model_arn("amazon.rerank-v1:0", region) == arn
            ref = parse_model_id(arn)
            assert ref is not None
            assert (ref.base_id, ref.region) == ("amazon.rerank-v1:0", region)
            # What the emulator stands for has the same names.
            assert bedrock_arn(region, "", "foundation-model/amazon.rerank-v1:0") == arn
            assert is_region(region)


def test_an_endpoint_of_ones_own():
    assert (
        endpoint_url(upstream("us-east-1", "http://127.0.0.1:1"), Operation.CONVERSE)
        == "http://127.0.0.1:1"
    )


@pytest.mark.parametrize(
    "region", ["", "us-east-1.evil.example/", "evil.example#", "us-east-1\n", "US-EAST-1", "x"]
)
def test_a_region_cannot_name_another_host(region):
    with pytest.raises(EndpointRefused):
        endpoint_url(upstream(region), Operation.CONVERSE)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hidden@bedrock.internal",
        "https://user:hidden@bedrock.internal/path",
        "https://user:hidden@bedrock.internal:99999",
        "https://user:hidden@bedrock\u2100.internal",
        "https://[hidden@bedrock.internal",
    ],
)
def test_a_refused_endpoint_is_told_without_its_user(url):
    with pytest.raises(EndpointRefused) as refused:
        Connections().endpoint(url)
    assert "hidden" not in str(refused.value)
    assert "bedrock" in str(refused.value)
