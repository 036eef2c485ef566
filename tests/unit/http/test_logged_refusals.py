"""What the log holds of a refused request: kinds and places, no word that could be a tenant's."""

from tenantry.domain.errors import Unavailable
from tenantry.entrypoints.http.app import _where


def _refusal() -> Exception:
    try:
        try:
            raise TimeoutError("said of a tenant")
        except TimeoutError as reason:
            raise Unavailable("The database is out of reach.") from reason
    except Unavailable as refusal:
        return refusal


def test_a_refusal_names_its_cause_and_its_place_alone() -> None:
    said = _where(_refusal())
    assert said.startswith("Unavailable by TimeoutError at ")
    assert __file__ in said
    assert "said of" not in said
    assert "out of reach" not in said


def test_what_has_no_cause_names_none() -> None:
    assert _where(KeyError("x")).startswith("KeyError at ")
