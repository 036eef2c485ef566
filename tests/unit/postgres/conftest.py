"""Fixtures of what stands before the database."""

import pytest
from tests.support.waiting import PATIENCE_S

from tenantry.adapters.postgres import one_primary


@pytest.fixture
def patient_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine too the note answers, and who writes it lets others do so: what nobody
    waits for is what some tests are about, and they say so."""
    monkeypatch.setattr(one_primary, "NOTE_S", PATIENCE_S)
    monkeypatch.setattr(one_primary, "LOCK_S", PATIENCE_S)
