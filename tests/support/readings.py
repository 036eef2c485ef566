"""What tests ask of a normalised report, and reports as Bedrock writes them."""

from tenantry.domain import normalise
from tenantry.domain.normalise import InvokeStreamUsage, Normalised, Quarantined


def usage_of(reading):
    assert isinstance(reading, Normalised), reading
    assert reading.version == normalise.NORMALISER_VERSION
    return reading.usage


def reason_of(reading):
    assert isinstance(reading, Quarantined), reading
    return reading.reason


def converse(given_in, out, read=0, write=0, total=None, details=None):
    """A usage member with Bedrock's duplicates, as Claude and Nova send it."""
    usage = {
        "inputTokens": given_in,
        "outputTokens": out,
        "totalTokens": given_in + out + read + write if total is None else total,
        "cacheReadInputTokens": read,
        "cacheReadInputTokenCount": read,
        "cacheWriteInputTokens": write,
        "cacheWriteInputTokenCount": write,
        "serverToolUsage": {},
    }
    return usage | ({} if details is None else {"cacheDetails": details})


def stream_of(family, *chunks, **options):
    gathered = InvokeStreamUsage(family, **options)
    for chunk in chunks:
        gathered.feed(chunk)
    return gathered.finish()
