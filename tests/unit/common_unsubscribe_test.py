"""Unsubscribe tokens: nobody but the holder of a link can unsubscribe its person."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import ConfigurationError
from services.common.settings import load_settings
from services.common.unsubscribe import Subscription, UnsubscribeSettings, read_token, token_of

SECRET, FORMER = "s" * 32, "t" * 32
names = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=60)
subscriptions = st.builds(Subscription, names, names, st.none() | names, st.none() | names)


@given(subscriptions)
def test_a_token_names_what_it_was_made_for(subscription: Subscription) -> None:
    token = token_of(SECRET, subscription)
    assert subscription == read_token([SECRET], token) == read_token([FORMER, SECRET], token)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)


@given(subscriptions, st.data())
def test_a_token_that_was_changed_or_signed_by_others_names_nobody(subscription: Subscription, data: st.DataObject) -> None:
    token = token_of(SECRET, subscription)
    place = data.draw(st.integers(0, len(token) - 2))  # the last character may have bits that carry nothing
    other = data.draw(
        st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_").filter(lambda c: c != token[place])
    )
    assert read_token([SECRET], token[:place] + other + token[place + 1 :]) is None
    assert read_token([FORMER], token) is None
    assert read_token([], token) is None


@given(st.text(max_size=1_200))
def test_garbage_names_nobody(token: str) -> None:
    assert read_token([SECRET], token) is None


@pytest.mark.parametrize(
    "given",
    [
        {"URL": "https://x.example"},
        {"SECRET": SECRET},
        {"URL": "javascript:x", "SECRET": SECRET},
        {"URL": "https://x.example", "SECRET": "short"},
    ],
)
def test_settings_that_make_no_link_are_refused(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"GROUNDSWELL_UNSUBSCRIBE_{name}", value)
    with pytest.raises(ConfigurationError, match="GROUNDSWELL_UNSUBSCRIBE_"):
        load_settings(UnsubscribeSettings)
