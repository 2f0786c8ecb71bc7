"""Pure: texts of the environment become values, and bad ones name their variable and hide their content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_relay.exceptions import ConfigurationError
from relay_worker.redact import HIDDEN, shown
from relay_worker.values import convert, database


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "true", True),
        ("bool", "0", False),
        ("int", "25", 25),
        ("float", "0.5", 0.5),
        ("float", "30", 30),
        ("str", "12345", "12345"),
        ("list", "a, b", ["a", "b"]),
        ("list", '["a"]', ["a"]),
        ("dict", '{"a": 1}', {"a": 1}),
        ("?int", "none", None),
        ("?int", "7", 7),
        ("timeout", "3.5,none", (3.5, None)),
        ("literal", "true", True),
        ("literal", "text", "text"),
    ],
)
def test_a_text_takes_the_type_it_replaces(kind, text, value):
    assert convert("NAME", text, kind) == value


@pytest.mark.parametrize(
    ("kind", "text"), [("bool", "maybe-secret"), ("int", "x-secret"), ("dict", "[1]"), ("float", "secret")]
)
def test_p12_a_bad_value_names_its_variable_and_p13_hides_its_content(kind, text):
    with pytest.raises(ConfigurationError, match="EMAIL_PORT") as caught:
        convert("EMAIL_PORT", text, kind)
    assert "secret" not in str(caught.value)


@given(st.integers())
def test_integers_round_trip(number):
    assert convert("N", str(number), "int") == number


def test_a_database_url_is_taken_apart():
    assert database("postgres://me:p%40ss@db.example:5433/relay?sslmode=require") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "relay",
        "USER": "me",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require"},
    }


def test_p13_a_database_url_that_cannot_be_read_is_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        database("oracle://me:secret@db/relay")
    assert "DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_p13_secrets_are_redacted_by_name_and_inside_urls():
    assert shown("EMAIL_HOST_PASSWORD", "x") == HIDDEN
    assert shown("CELERY_BROKER_URL", "amqp://me:pw@host//") == f"amqp://me:{HIDDEN}@host//"
    assert shown("DATABASES", {"default": {"PASSWORD": "x", "NAME": "relay"}}) == {
        "default": {"PASSWORD": HIDDEN, "NAME": "relay"}
    }
