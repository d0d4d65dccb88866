# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the connection that keeps to its deadline."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _wire
from ansible_collections.asgi.production.plugins.module_utils.health import Trouble


def soon() -> float:
    return time.monotonic() + 2


def test_bytes_and_lines(talk):
    port = talk(lambda client: (client.sendall(b"one\r\ntw"), time.sleep(0.05), client.sendall(b"o\nrest")))
    with _wire.connect("localhost", port, "", soon()) as wire:
        assert [wire.line(), wire.line(), wire.exactly(4)] == [b"one", b"two", b"rest"]
        with pytest.raises(ConnectionError):
            wire.exactly(1)


def test_a_line_that_does_not_end_and_a_flood_are_given_up(talk, monkeypatch: pytest.MonkeyPatch):
    port = talk(lambda client: client.sendall(b"x" * 2**22))
    with _wire.connect("127.0.0.1", port, "", soon()) as wire, pytest.raises(Trouble, match="its line does not end"):
        wire.line()
    monkeypatch.setattr(_wire, "LARGEST", 2**20)
    with _wire.connect("127.0.0.1", port, "", soon()) as wire, pytest.raises(Trouble, match="does not stop sending"):
        wire.exactly(2**22)


def test_nothing_begins_after_the_end():
    with pytest.raises(socket.timeout):
        _wire.left(time.monotonic() - 1)


def test_a_name_that_is_looked_up_too_long_is_left_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_wire.socket, "getaddrinfo", lambda *_args, **_options: time.sleep(0.5))
    began = time.monotonic()
    with pytest.raises(socket.timeout, match=r"slow\.test is not found in time"):
        _wire.resolve("slow.test", 1, began + 0.1)
    assert time.monotonic() - began < 0.4


def test_the_next_address_is_tried(talk, monkeypatch: pytest.MonkeyPatch):
    port = talk(lambda client: client.sendall(b"hello\n"))
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        places = [(socket.AF_INET, unheard.getsockname()), (socket.AF_INET, ("127.0.0.1", port))]
        monkeypatch.setattr(_wire, "resolve", lambda *_args: places)
        with _wire.connect("shop.test", 1, "", soon()) as wire:
            assert wire.line() == b"hello"
    monkeypatch.setattr(_wire, "resolve", lambda *_args: [])
    with pytest.raises(socket.gaierror):
        _wire.connect("shop.test", 1, "", soon())


def test_authorities_of_ones_own(certificate: Path, tmp_path: Path):
    assert len(_wire.tls_context(True, str(certificate)).get_ca_certs()) == 1
    assert _wire.tls_context(True, str(tmp_path)).get_ca_certs() == []
    assert _wire.tls_context(False).verify_mode == 0
    with pytest.raises(Trouble, match="there is no /nowhere with authorities"):
        _wire.tls_context(True, "/nowhere")


class System:
    """The calls that change who this process is."""

    def __init__(self, user: int) -> None:
        self.user, self.calls = user, []

    def geteuid(self) -> int:
        return self.user

    def getgroups(self) -> list[int]:
        return [0, 4]

    def getegid(self) -> int:
        return 0

    def __getattr__(self, name: str):
        return lambda *values: self.calls.append((name, *values))


def test_root_acts_as_another_user_and_is_root_again(monkeypatch: pytest.MonkeyPatch):
    system = System(0)
    monkeypatch.setattr(_wire, "os", system)
    monkeypatch.setattr(_wire.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=105, pw_gid=109))
    with pytest.raises(ZeroDivisionError), _wire.acting_as("postgres"):
        system.calls.append(1 / 0)
    assert system.calls == [
        ("initgroups", "postgres", 109),
        ("setegid", 109),
        ("seteuid", 105),
        ("seteuid", 0),
        ("setegid", 0),
        ("setgroups", [0, 4]),
    ]


def test_who_is_not_root_stays_who_he_is(monkeypatch: pytest.MonkeyPatch):
    system = System(1000)
    monkeypatch.setattr(_wire, "os", system)
    with _wire.acting_as("postgres"):
        assert system.calls == []


def test_a_user_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_wire, "os", SimpleNamespace(geteuid=lambda: 0, path=os.path))
    with (
        pytest.raises(Trouble, match="this host has no user nobody-of-that-name"),
        _wire.acting_as("nobody-of-that-name"),
    ):
        raise AssertionError
