"""Small offer files in the two forms of the AWS Price List, made from the same rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

VERSION = "20261120094512"
PUBLISHED = "2026-11-20T09:45:12Z"
_DISCLAIMER = "This pricing list is for informational purposes only."


@dataclass(frozen=True)
class Offered:
    """One SKU with its on-demand price. `model` is AWS's attribute, `service` the product."""

    usage_type: str
    usd: str
    unit: str = "1K tokens"
    model: str = ""
    service: str = "Amazon Bedrock"
    region: str = "us-east-1"
    currency: str = "USD"
    end: str = "Inf"


def marketplace(dimension: str, usd: str, product: str, region: str = "us-east-1") -> Offered:
    prefix = {"us-east-1": "USE1", "eu-west-1": "EU"}[region]
    return Offered(
        f"{prefix}-MP:{prefix}_{dimension}-Units", usd, "Units",
        service=f"{product} (Amazon Bedrock Edition)", region=region,
    )  # fmt: skip


def offer_json(code: str, rows: Iterable[Offered]) -> str:
    products, terms = {}, {}
    for number, row in enumerate(rows):
        sku = f"SKU{number:013d}"
        products[sku] = {
            "sku": sku,
            "productFamily": "Amazon Bedrock",
            "attributes": {
                "servicecode": code,
                "regionCode": row.region,
                "usagetype": row.usage_type,
                "operation": "",
                "servicename": row.service,
                **({"model": row.model, "provider": "Amazon"} if row.model else {}),
            },
        }
        dimension = {
            "rateCode": f"{sku}.JRTCKXETXF.6YS6EN2CT7",
            "description": f"${row.usd} per {row.unit} for {row.usage_type}",
            "beginRange": "0",
            "endRange": row.end,
            "unit": row.unit,
            "pricePerUnit": {row.currency: row.usd},
            "appliesTo": [],
        }
        terms[sku] = {
            f"{sku}.JRTCKXETXF": {
                "offerTermCode": "JRTCKXETXF",
                "sku": sku,
                "effectiveDate": "2026-11-01T00:00:00Z",
                "priceDimensions": {dimension["rateCode"]: dimension},
                "termAttributes": {},
            }
        }
    document = {
        "formatVersion": "v1.0",
        "disclaimer": _DISCLAIMER,
        "offerCode": code,
        "version": VERSION,
        "publicationDate": PUBLISHED,
        "products": products,
        "terms": {"OnDemand": terms},
    }
    return json.dumps(document)


def offer_csv(code: str, rows: Iterable[Offered]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows(
        [
            ("FormatVersion", "v1.0"),
            ("Disclaimer", _DISCLAIMER),
            ("Publication Date", PUBLISHED),
            ("Version", VERSION),
            ("OfferCode", code),
        ]
    )
    writer.writerow(
        (
            "SKU", "OfferTermCode", "RateCode", "TermType", "PriceDescription", "EffectiveDate",
            "StartingRange", "EndingRange", "Unit", "PricePerUnit", "Currency", "Product Family",
            "serviceCode", "Location", "Location Type", "usageType", "operation", "Model",
            "Region Code", "serviceName",
        )
    )  # fmt: skip
    for number, row in enumerate(rows):
        sku = f"SKU{number:013d}"
        writer.writerow(
            (
                sku, "JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7", "OnDemand", "a price",
                "2026-11-01", "0", row.end, row.unit, row.usd, row.currency, "Amazon Bedrock",
                code, "US East (N. Virginia)", "AWS Region", row.usage_type, "", row.model,
                row.region, row.service,
            )
        )  # fmt: skip
    return out.getvalue()


BEDROCK = (
    Offered("USE1-NovaPro-input-tokens", "0.0008000000", model="Nova Pro"),
    Offered("USE1-NovaPro-output-tokens", "0.0032000000", model="Nova Pro"),
    Offered("USE1-NovaPro-cache-read-input-token-count", "0.0002000000", model="Nova Pro"),
    Offered("USE1-NovaPro-input-tokens-batch", "0.0004000000", model="Nova Pro"),
    Offered("USE1-NovaPro-input-tokens-flex", "0.0004000000", model="Nova Pro"),
    Offered("USE1-Nova2.0Lite-input-tokens", "0.0003300000", model="Nova 2.0 Lite"),
    Offered(
        "USE1-Nova2.0Lite-input-tokens-cross-region-global", "0.0003000000", model="Nova 2.0 Lite"
    ),
    Offered("EU-NovaPro-input-tokens", "0.0009200000", model="Nova Pro", region="eu-west-1"),
    Offered("USE1-TitanEmbeddingV2-Text-input-tokens", "0.0000200000"),
    Offered("USE1-qwen.qwen3-coder-next-output-tokens-priority", "0.0021000000"),
    Offered("USW2-AmazonRerank-v1-searchunits", "0.0010000000", "Search Units", region="us-west-2"),
    Offered("USE1-Guardrail-ContentPolicyUnitsConsumed", "0.0001500000", "TextUnits"),
    Offered("USE1-NovaPro-ProvisionedThroughput-NoCommit-ModelUnits", "108.15", "hour"),
    Offered("USE1-openai.gpt-oss-120b-mantle-input-tokens-standard", "0.0001500000"),
    Offered("USE1-NovaPro-output-tokens-latency-optimized", "0.0040000000"),
)
SONNET = "Claude Sonnet 4.5"
FOUNDATION_MODELS = (
    marketplace("InputTokenCount", "3.3000000000", SONNET),
    marketplace("InputTokenCount_Global", "3.0000000000", SONNET),
    marketplace("InputTokenCount_LCtx", "6.6000000000", SONNET),
    marketplace("OutputTokenCount", "16.5000000000", SONNET),
    marketplace("OutputTokenCount_Global_Batch", "7.5000000000", SONNET),
    marketplace("CacheReadInputTokenCount_Global", "0.3000000000", SONNET),
    marketplace("CacheWriteInputTokenCount_Global", "3.7500000000", SONNET),
    marketplace("CacheWrite1hInputTokenCount_Global", "6.0000000000", SONNET),
    marketplace("input_tokens_standard", "5.5000000000", "Claude Opus 5"),
    marketplace("cache_write_tokens_1h_global_standard", "10.0000000000", "Claude Opus 5"),
    marketplace("Reserved_1Month_InputTPM_Geo", "0.18", "Claude Opus 5"),
)
