"""The snippets about sending are run, against a real relay database."""

from __future__ import annotations

import pytest

from email_relay.models import Message
from email_relay.signals import message_failed
from tests.docs.pages import Block, blocks

SENDING = [
    block
    for block in blocks("python")
    if block.page.name == "send.md" and "DJANGO_EMAIL_RELAY" not in block.body and "@receiver" not in block.body
]


TESTING = [block for block in blocks("python") if block.page.name == "test-a-client.md"]


@pytest.mark.django_db
@pytest.mark.parametrize("block", TESTING, ids=lambda block: block.name)
def test_a_snippet_about_testing_holds(block: Block):
    exec(compile(block.body, block.name, "exec"), {})


@pytest.mark.django_db
@pytest.mark.parametrize("block", SENDING, ids=lambda block: block.name)
def test_a_snippet_about_sending_queues_what_it_sends(block: Block, settings):
    settings.EMAIL_BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
    exec(compile(block.body, block.name, "exec"), {})
    assert Message.objects.count() == block.body.count(".send()") + block.body.count("\nsend_mail(")


def test_the_receiver_of_the_snippet_hears_of_failures(capsys):
    (block,) = [block for block in blocks("python") if block.page.name == "send.md" and "@receiver" in block.body]
    namespace: dict = {}
    exec(compile(block.body, block.name, "exec"), namespace)
    try:
        message_failed.send(sender=Message, id=1, source="shop", message_id="<1@x>", reply="550 no such user")
    finally:
        message_failed.disconnect(namespace["tell_support"])
    assert "550 no such user" in capsys.readouterr().out
