"""The store of application inference profiles: durable, bounded, apart by account and region."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bedrock_emulator.engine.types import EmulatedError
from bedrock_emulator.inference_profiles import TAGS_MAX, InferenceProfiles, Wanted

HERE = ("111111111111", "us-east-1")
SOURCE = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"


def store(folder, **limits):
    return InferenceProfiles(folder, lambda: datetime(2026, 11, 23, tzinfo=UTC), **limits)


def test_profiles_tags_and_deletions_outlive_the_process(tmp_path):
    first = store(tmp_path)
    kept = first.create(*HERE, Wanted("kept", SOURCE, "why", {"tenant": "a"}, "token-1"))
    gone = first.create(*HERE, Wanted("gone", SOURCE))
    first.retag(*HERE, kept.id, {"tenant": "b"})
    first.delete(*HERE, gone.id)
    again = store(tmp_path)
    [found] = again.list(*HERE)
    assert (found.id, found.wanted, found.tags) == (kept.id, kept.wanted, {"tenant": "b"})
    assert again.target(kept.arn) == SOURCE
    assert again.target(gone.arn) is None
    assert again.create(*HERE, kept.wanted).arn == kept.arn  # the token is kept as well


def test_a_token_makes_one_profile_in_its_account_and_region(tmp_path):
    profiles = store(tmp_path)
    wanted = Wanted("one", SOURCE, token="again")
    made = profiles.create(*HERE, wanted)
    assert profiles.create(*HERE, wanted) == made
    with pytest.raises(EmulatedError) as caught:
        profiles.create(*HERE, Wanted("other", SOURCE, token="again"))
    assert (caught.value.name, caught.value.status) == ("ConflictException", 400)
    for elsewhere in (("222222222222", "us-east-1"), ("111111111111", "eu-central-1")):
        assert profiles.create(*elsewhere, wanted).arn != made.arn
    assert profiles.create(*HERE, Wanted("one", SOURCE)).arn != made.arn


def test_the_other_account_finds_nothing(tmp_path):
    profiles = store(tmp_path)
    made = profiles.create(*HERE, Wanted("mine", SOURCE))
    for other in (("222222222222", "us-east-1"), ("111111111111", "eu-central-1")):
        assert profiles.list(*other) == []
        for use in (profiles.find, profiles.delete):
            with pytest.raises(EmulatedError) as caught:
                use(*other, made.id)
            assert caught.value.name == "ResourceNotFoundException"
    assert profiles.find(*HERE, made.id) == made


def test_what_an_account_may_have_is_bounded(tmp_path):
    profiles = store(tmp_path, limit=2)
    made = [profiles.create(*HERE, Wanted(name, SOURCE)) for name in "ab"]
    with pytest.raises(EmulatedError) as caught:
        profiles.create(*HERE, Wanted("c", SOURCE))
    assert caught.value.name == "ServiceQuotaExceededException"
    profiles.create("222222222222", "us-east-1", Wanted("c", SOURCE))
    profiles.delete(*HERE, made[0].id)
    profiles.create(*HERE, Wanted("c", SOURCE))
    with pytest.raises(EmulatedError) as caught:
        profiles.retag(*HERE, made[1].id, {str(n): "" for n in range(TAGS_MAX + 1)})
    assert caught.value.name == "TooManyTagsException"
