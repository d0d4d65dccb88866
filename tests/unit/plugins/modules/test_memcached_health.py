# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks Memcached, against a server played here and against servers that misbehave."""

from __future__ import annotations

import socket
import ssl
import typing as t
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _memcached_health as memcached
from ansible_collections.asgi.production.plugins.modules import memcached_health

GOOD = {
    "version": "1.6.18",
    "uptime": "100",
    "curr_connections": "10",
    "max_connections": "1024",
    "accepting_conns": "1",
    "limit_maxbytes": "1000",
    "bytes": "900",
    "evictions": "500",
    "rejected_connections": "0",
}


def stats(**changes: str) -> bytes:
    return b"".join(f"STAT {key} {value}\r\n".encode() for key, value in {**GOOD, **changes}.items()) + b"END\r\n"


def server(said: bytes, certificate: t.Optional[Path] = None) -> t.Callable[[socket.socket], None]:
    def answer(client: socket.socket) -> None:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            client = context.wrap_socket(client, server_side=True)
        assert client.recv(100) == b"stats\r\n"
        client.sendall(said)
        client.recv(100)

    return answer


@pytest.fixture
def ask(talk, run_module):
    return lambda say, **more: run_module(memcached_health, {"port": talk(say), "timeout": 2, **more})


def test_a_good_server_is_ok(ask, certificate: Path):
    said = ask(server(stats()))
    assert (said["healthy"], said["msg"]) == (True, f"Memcached on {socket.gethostname()} is ok")
    assert ask(server(stats(), certificate), tls=True, validate_certs=False)["healthy"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"CLIENT_ERROR unauthenticated\r\n", "it wants a user and a password, which this module does not send"),
        (b"ERROR Too many open connections\r\n", "it refuses connections: as many as it allows are open already"),
        (b"ERROR\r\n", "what answers there does not speak the protocol of Memcached"),
        (b"STAT pid 1\r\nEND\r\n", "what answers there does not speak the protocol of Memcached"),
        (b"STAT a\r\n", "what answers there does not speak the protocol of Memcached"),
        (b"".join(b"STAT %d 1\r\n" % n for n in range(2000)), "what answers there does not speak the protocol"),
    ],
)
def test_a_server_that_refuses_is_told_with_its_reason(ask, said: bytes, words: str):
    assert f" fails: {words}" in ask(server(said))["msg"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"curr_connections": "900"}, "degraded: 900 of 1024 connections are open"),
        ({"accepting_conns": "0"}, "failed: it accepts no new connections: 10 of 1024 are open"),
        ({"bytes": "many"}, None),
        ({"memory_degraded": 90}, "degraded: it uses 90 % of 1000 bytes"),
        ({"evictions_failed": 5}, "failed: it drops 5 entries a second that nobody let expire"),
    ],
)
def test_figures_are_judged_in_words(changes: dict, words: t.Optional[str]):
    changes = dict(changes)
    params = {name: option.get("default") for name, option in memcached_health.ARGUMENTS.items()}
    params.update({name: changes.pop(name) for name in list(changes) if name in params})
    checks = list(memcached.judge({**GOOD, **changes}, params))
    found = [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]
    assert len(found) == (words is not None), found
    assert not words or found[0].startswith(words)


def test_it_endures(endures):
    endures(memcached_health, {})
