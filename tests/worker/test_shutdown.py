"""A drain in a pool process learns of the end, whoever got the signal."""

from __future__ import annotations

import os
import signal

import pytest

from relay_worker.shutdown import Shutdown


def test_p2_a_term_inside_the_shield_asks_and_does_not_break_off():
    shutdown = Shutdown()
    with shutdown.shielded():
        os.kill(os.getpid(), signal.SIGTERM)
        assert shutdown.wait(5)
    assert shutdown.is_set()


def test_the_shield_puts_the_former_handler_back():
    def former(*_):
        raise AssertionError

    previous = signal.signal(signal.SIGTERM, former)
    try:
        with Shutdown().shielded():
            assert signal.getsignal(signal.SIGTERM) is not former
        assert signal.getsignal(signal.SIGTERM) is former
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_p2_what_the_main_process_announces_its_children_see():
    shutdown = Shutdown()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"1" if shutdown.wait(30) else b"0")
        os._exit(0)
    shutdown.announce()
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_waiting_without_an_end_gives_false(timeout):
    assert Shutdown().wait(timeout) is False
