"""Who may see and do what: every address of the console, as the resolver knows them, so that none is forgotten."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from email_relay.console.verbs import VERBS
from email_relay.models import Message, Status, Suppression

OPEN = {"healthz", "readyz", "metrics"}
"""The service's probes: they tell counts, and are for the inside of a network."""
PERMISSION = {"requeue": "requeue_message", "send_now": "requeue_message", "hold": "hold_message"}
PERMISSION.update(release="hold_message", cancel="cancel_message")
BODY = b"the text body"


def patterns(resolver, prefix=""):
    """(route, name) of every pattern below ``resolver``."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry.name
        else:
            yield from patterns(entry, route)


def is_ours(route, name):
    """Of this app's admin, or what a service serves beside the admin."""
    return route.startswith("admin/email_relay/") or not (route.startswith("admin/") or name in OPEN)


def addresses(urlconf):
    return [(urlconf, route) for route, name in patterns(get_resolver(urlconf)) if is_ours(route, name)]


ADMIN = addresses("tests.urls")
SERVICE = []
if find_spec("celery"):  # the service is not installed on every Django
    SERVICE = [
        (urlconf, route) for urlconf, route in addresses("relay_worker.urls") if ("tests.urls", route) not in ADMIN
    ]
ADDRESSES = ADMIN + SERVICE
IDS = [f"{urlconf.partition('.')[0]}: {route or '/'}" for urlconf, route in ADDRESSES]
every_address = pytest.mark.parametrize(("urlconf", "route"), ADDRESSES, ids=IDS)


@pytest.fixture
def address(urlconf, route, queued, settings):
    """The route with the numbers of rows that are there. The message can be cancelled, which each test would notice."""
    settings.ROOT_URLCONF = urlconf
    row = queued(html="<p>the html body</p>")
    of_message = "/message/" in route
    pk = row.pk if of_message else Suppression.objects.create(pattern="@example.net").pk
    values = {"pk": pk, "object_id": pk, "number": 1, "name": "cancel"}
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found.group(1)]), route)


def nothing_happened():
    row, suppressions = Message.objects.get(), Suppression.objects.count()
    return row.status == Status.QUEUED and suppressions <= 1 and not LogEntry.objects.exists()


def test_the_list_of_addresses_is_not_empty():
    assert [route for _, route in SERVICE] == ([""] if find_spec("celery") else []), (
        "beside the admin the service has its start page"
    )
    routes = [route.rpartition("message/")[2] for _, route in ADMIN]
    assert {"dashboard/", "<int:pk>/html/", "<int:pk>/source/", "<int:pk>/do/<slug:name>/"} <= set(routes)


@every_address
@pytest.mark.parametrize("method", ["get", "post"])
def test_anonymous_is_sent_to_the_login(client, address, method):
    answer = getattr(client, method)(address)
    if answer.status_code == 405:
        assert method == "post"
    else:
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]
    assert nothing_happened()


@every_address
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("staff", [True, False], ids=["staff", "no staff"])
def test_who_may_not_look_sees_nothing(client, person, address, method, staff):
    """Staff without a permission, and those with every permission who are not staff."""
    client.force_login(person(*([] if staff else ["view_message", "view_message_body", "cancel_message"]), staff=staff))
    answer = getattr(client, method)(address, follow=True)
    sent_away = not staff and answer.redirect_chain and "/login/" in answer.redirect_chain[0][0]
    assert sent_away or answer.status_code in {403, 405}
    assert BODY not in answer.content
    assert nothing_happened()


@every_address
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_may_only_look_changes_nothing(client, person, address, method):
    client.force_login(person("view_message", "view_suppression"))
    answer = getattr(client, method)(address, {"action": "cancel", "_selected_action": "1", "confirmed": "yes"})
    assert BODY not in answer.content
    assert nothing_happened()


@every_address
def test_looking_changes_nothing(operator, address):
    assert operator.get(address).status_code in {200, 302, 403, 404, 405}
    assert nothing_happened()


@every_address
def test_a_change_needs_the_token_of_the_form(admin_user, address):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    form = {"action": "cancel", "_selected_action": str(Message.objects.get().pk), "confirmed": "yes", "post": "yes"}
    assert strict.post(address, form).status_code in {403, 405}
    assert nothing_happened()


@every_address
def test_p13_hidden_bodies_are_on_no_page(operator, address, settings):
    settings.DJANGO_EMAIL_RELAY = {"CONSOLE_SHOW_BODIES": False}
    content = operator.get(address, follow=True).content
    for words in (BODY, b"the html body", b"the attached words", b"notes.txt"):
        assert words not in content


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_needs_its_own_permission(client, person, queued, name):
    before = {"requeue": Status.FAILED, "release": Status.HELD}.get(name, Status.DEFERRED)
    row = queued(status=before)
    address = reverse("admin:email_relay_message_act", args=[row.pk, name])
    others = {permission for permission in PERMISSION.values() if permission != PERMISSION[name]}
    client.force_login(person("view_message", "change_message", *others))
    assert client.post(address).status_code == 403
    client.force_login(person("view_message", PERMISSION[name]))
    assert client.get(address).status_code == 405
    assert client.post(address).status_code == 302
    after = {"hold": Status.HELD, "cancel": Status.CANCELED, "send_now": Status.DEFERRED}.get(name, Status.QUEUED)
    assert Message.objects.get().status == after
    entry = LogEntry.objects.get()
    assert entry.change_message.startswith(f"{VERBS[name].label}: 1 of 1")
    assert entry.user_id == int(client.session["_auth_user_id"])
