"""The cheaper way to bytes gives the bytes of the standard library."""

from __future__ import annotations

import copy
from email.generator import BytesGenerator
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from io import BytesIO

from hypothesis import example, given, settings
from hypothesis import strategies as st

from email_relay.flattening import QuickCompat32, set_boundaries

ORDINARY = compat32.clone(linesep="\r\n")
QUICK = QuickCompat32(linesep="\r\n")
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,70}", fullmatch=True)
VALUES = st.one_of(
    st.text('ab ,;=?<>"\t', max_size=90),
    st.text(st.characters(min_codepoint=32, max_codepoint=300, blacklist_categories=("Cs",)), max_size=90),
    st.from_regex(r"[ -~]{70,80}", fullmatch=True),
    st.builds(Header, st.text("ab ü", max_size=20)),
)


@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@example("Subject", "ends with a space ")
@example("Subject", " begins with a space")
@example("Subject", "")
@example("X", "=?utf-8?q?=C3=A4?=")
@given(NAMES, VALUES)
def test_p4_a_header_is_folded_as_ever(name: str, value: object) -> None:
    assert QUICK.fold_binary(name, value) == ORDINARY.fold_binary(name, value)


def nested() -> MIMEMultipart:
    outer, inner = MIMEMultipart("mixed"), MIMEMultipart("alternative")
    inner.attach(MIMEText("--text\r\n--\r\n"))
    inner.attach(MIMEText("<b>ü</b>", "html", "utf-8"))
    outer.attach(inner)
    outer["Subject"] = "nested"
    return outer


def flattened(message: Message, policy: object) -> bytes:
    target = BytesIO()
    BytesGenerator(target, mangle_from_=False, policy=policy).flatten(message)
    return target.getvalue()


def test_p4_a_boundary_given_beforehand_changes_nothing_else() -> None:
    message = nested()
    set_boundaries(message)
    boundaries = [part.get_boundary() for part in message.walk() if part.is_multipart()]
    ordinary = copy.deepcopy(message)
    assert flattened(message, QUICK) == flattened(ordinary, ORDINARY)

    bare = nested()
    content = flattened(bare, ORDINARY)
    for own, made in zip(boundaries, [part.get_boundary() for part in bare.walk() if part.is_multipart()]):
        assert len(own) == len(made)
        content = content.replace(made.encode(), own.encode())
    assert flattened(message, QUICK) == content


def test_a_boundary_that_is_there_stays() -> None:
    message = nested()
    message.set_boundary("mine")
    set_boundaries(message)
    assert message.get_boundary() == "mine"


def test_a_multipart_without_parts_is_left_to_the_standard_library() -> None:
    message = Message()
    message["Content-Type"] = "multipart/mixed"
    message.set_payload("not a list of parts")
    set_boundaries(message)
    assert message.get_boundary() is None
