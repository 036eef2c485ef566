"""Refusals in Bedrock's own words, so that every caller sees one wording for one fault.

Words marked (recorded) stand in real exchanges, see tests/contract/emulator/recorded_facts.json;
the others follow the service's documentation or its model's constraints, in words of our own where
neither has any, and may differ in detail from what it says today.
"""

from __future__ import annotations

from collections.abc import Iterable

from bedrock_emulator.engine.types import EmulatedError


def validation(message: str) -> EmulatedError:
    return EmulatedError("ValidationException", 400, message)


def unknown_model() -> EmulatedError:
    """(recorded)"""
    return validation("The provided model identifier is invalid.")


def wrong_region(region: str) -> EmulatedError:
    return validation(
        f"The provided ARN is invalid for the service region: {region}. "
        "Provide a valid ARN and try again."
    )


def not_found(message: str) -> EmulatedError:
    return EmulatedError("ResourceNotFoundException", 404, message)


def access_denied(message: str) -> EmulatedError:
    return EmulatedError("AccessDeniedException", 403, message)


def unsupported_block(kind: str) -> EmulatedError:
    """(recorded)"""
    return validation(
        f"This model doesn't support the {kind} content block that you provided. "
        "Update the content block and try again."
    )


def unsupported_field(field: str) -> EmulatedError:
    """(recorded, for s3Uri)"""
    return validation(
        f"This model doesn't support the {field} field. Remove {field} and try again."
    )


def too_many_output_tokens(limit: int) -> EmulatedError:
    return validation(
        f"The maximum tokens you requested exceeds the model limit of {limit}. "
        f"Try again with a maximum tokens value that is lower than {limit}."
    )


def wrong_type(path: str, expected: str) -> EmulatedError:
    """`expected` is a word of JSON Schema: string, object, array, number, boolean."""
    return validation(f"Malformed input request: #/{path}: expected type: {expected}")


def not_in_set(path: str, value: object, allowed: Iterable[str]) -> EmulatedError:
    """Of a value that is left out or null, that it must not be."""
    if value is None:
        return missing(path)
    return _unfit(f"Value '{value}'", path, f"satisfy enum value set: [{', '.join(allowed)}]")


def missing(path: str) -> EmulatedError:
    return _unfit("Value null", path, "not be null")


def too_short(path: str) -> EmulatedError:
    return _unfit("Value", path, "have length greater than or equal to 1")


def too_long(path: str, most: int) -> EmulatedError:
    return _unfit("Value", path, f"have length less than or equal to {most}")


def too_low(path: str, value: float, least: int) -> EmulatedError:
    return _unfit(f"Value '{value}'", path, f"have value greater than or equal to {least}")


def no_match(path: str, value: str, pattern: str) -> EmulatedError:
    return _unfit(f"Value '{value}'", path, f"satisfy regular expression pattern: {pattern}")


def _unfit(value: str, path: str, must: str) -> EmulatedError:
    return validation(
        f"1 validation error detected: {value} at '{path}' failed to satisfy constraint: "
        f"Member must {must}"
    )


def no_base64(path: str) -> EmulatedError:
    return validation(f"{path}: invalid base64 data")


def no_image(path: str) -> EmulatedError:
    return validation(f"{path}: Could not process image")


def too_large(kind: str, path: str, limit: str) -> EmulatedError:
    """`kind` is image or document, `limit` what the service model says of a message's."""
    return validation(
        f"The {kind} at {path} exceeds the limit of {limit}. Provide a smaller {kind} and try "
        "again."
    )


def extraneous_key(path: str, key: str) -> EmulatedError:
    """The service's wording for a member that a model's body does not have. (recorded)"""
    return validation(
        f"Malformed input request: #{path}: extraneous key [{key}] is not permitted, "
        "please reformat your input and try again."
    )


def from_model(error: EmulatedError) -> EmulatedError:
    """What a model says where Converse has let a request pass. (recorded)"""
    return validation(f"The model returned the following errors: {error.message}")


def missing_key(path: str, key: str) -> EmulatedError:
    return validation(
        f"Malformed input request: #{path}: required key [{key}] not found, "
        "please reformat your input and try again."
    )
