"""EMAIL_MAX_BATCH under the real worker: beat strikes while a drain is longer than the pause."""

from __future__ import annotations

import pytest

from tests.e2e.service import Service, assert_exactly_once

BATCH, PAUSE = 5, 2.0


@pytest.mark.slow
def test_a_bounded_drain_is_followed_by_a_pause_however_long_it_took(
    tmp_path, postgresql_database, filesystem_broker, smtp_server
):
    service = Service(
        tmp_path,
        postgresql_database,
        filesystem_broker,
        smtp_server,
        DJANGO_EMAIL_RELAY__EMAIL_MAX_BATCH=BATCH,
        DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP=PAUSE,
        DJANGO_EMAIL_RELAY__SMTP_MAX_SESSIONS=1,
    )
    service.migrate()
    service.clients("shop", count=3 * BATCH)
    smtp_server.script.delay = 0.2  # a batch takes longer than the pause, so beat strikes in its midst
    with service.worker() as worker:
        service.wait_until_sent(3 * BATCH, worker)
        assert worker.terminate() == 0
    assert_exactly_once(service, smtp_server)
    at = [message.at for message in smtp_server.received]
    assert [at[n] - at[n - 1] >= PAUSE for n in (BATCH, 2 * BATCH)] == [True, True]
