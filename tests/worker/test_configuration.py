"""The environment laid over the service's settings, read by a fresh process as in production."""

from __future__ import annotations


def test_without_any_variable_sqlite_and_files_in_var(service_settings, tmp_path):
    settings = service_settings("DATABASES", "CELERY_BROKER_URL")
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "var" / "relay.sqlite3")
    assert settings["CELERY_BROKER_URL"].startswith("filesystem://")
    assert settings["relay"]["DATABASE_ALIAS"] == "default"


def test_nested_keys_and_types(service_settings):
    settings = service_settings(
        "DATABASES",
        "EMAIL_PORT",
        "EMAIL_HOST_PASSWORD",
        "EMAIL_USE_TLS",
        EMAIL_PORT=2525,
        EMAIL_HOST_PASSWORD=123456,
        EMAIL_USE_TLS="yes",
        DATABASES__default__CONN_MAX_AGE=600,
        DJANGO_EMAIL_RELAY__EMAIL_THROTTLE=1,
        DJANGO_EMAIL_RELAY__EMAIL_MAX_RETRIES="none",
        DJANGO_EMAIL_RELAY__RELAY_HEALTHCHECK_TIMEOUT="3,none",
    )
    assert settings["EMAIL_PORT"] == 2525
    assert settings["EMAIL_HOST_PASSWORD"] == "123456", "a password of digits stays a text"
    assert settings["EMAIL_USE_TLS"] is True
    assert settings["DATABASES"]["default"]["CONN_MAX_AGE"] == 600
    assert settings["relay"]["EMAIL_THROTTLE"] == 1
    assert settings["relay"]["EMAIL_MAX_RETRIES"] is None
    assert settings["relay"]["RELAY_HEALTHCHECK_TIMEOUT"] == [3, None]


def test_a_secret_comes_from_a_file(service_settings, tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    settings = service_settings("EMAIL_HOST_PASSWORD", EMAIL_HOST_PASSWORD_FILE=tmp_path / "secret")
    assert settings["EMAIL_HOST_PASSWORD"] == "from a file"


def test_p12_an_unknown_relay_setting_is_refused_by_name(service_settings):
    complaint = service_settings(DJANGO_EMAIL_RELAY__EMAIL_TROTTLE=1)
    assert "DJANGO_EMAIL_RELAY__EMAIL_TROTTLE" in complaint


def test_p12_an_ill_typed_value_is_refused_by_name(service_settings):
    assert "EMAIL_PORT" in service_settings(EMAIL_PORT="twenty-five")


def test_p12_value_and_file_together_are_refused(service_settings, tmp_path):
    (tmp_path / "secret").write_text("x")
    complaint = service_settings(EMAIL_HOST_PASSWORD="y", EMAIL_HOST_PASSWORD_FILE=tmp_path / "secret")
    assert "Both EMAIL_HOST_PASSWORD and EMAIL_HOST_PASSWORD_FILE" in complaint


def test_the_secret_key_is_made_once_and_kept_private(service_settings, tmp_path):
    first, second = service_settings("SECRET_KEY"), service_settings("SECRET_KEY")
    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o077 == 0


def test_p8_a_worker_tries_to_reach_its_broker_for_ever(service_settings):
    """Celery's own default is 100 tries, and then the worker ends."""
    assert service_settings("CELERY_BROKER_CONNECTION_MAX_RETRIES")["CELERY_BROKER_CONNECTION_MAX_RETRIES"] is None


def test_rabbitmq_gets_quorum_queues(service_settings):
    settings = service_settings("CELERY_TASK_DEFAULT_QUEUE_TYPE", CELERY_BROKER_URL="amqp://guest:guest@127.0.0.1//")
    assert settings["CELERY_TASK_DEFAULT_QUEUE_TYPE"] == "quorum"
