# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks Redis, against a server played here and against servers that misbehave."""

from __future__ import annotations

import socket
import ssl
import typing as t
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _redis_health as redis
from ansible_collections.asgi.production.plugins.module_utils.health import Trouble
from ansible_collections.asgi.production.plugins.modules import redis_health
from hypothesis import given
from hypothesis import strategies as st

PASSWORD = "canary-77aa"
GOOD = {
    "redis_version": "7.0.15",
    "role": "master",
    "connected_slaves": "0",
    "used_memory": "50",
    "maxmemory": "100",
    "maxmemory_policy": "noeviction",
    "connected_clients": "1",
    "maxclients": "100",
    "loading": "0",
    "rdb_last_bgsave_status": "ok",
    "aof_last_write_status": "ok",
    "rdb_changes_since_last_save": "0",
    "rdb_last_save_time": "1000",
    "evicted_keys": "3",
}


def info(**changes: str) -> str:
    return "# Server\r\n" + "".join(f"{key}:{value}\r\n" for key, value in {**GOOD, **changes}.items())


class Server:
    """Answers each command by its first word."""

    def __init__(self, certificate: t.Optional[Path] = None, **answers: bytes) -> None:
        body = info().encode()
        self.answers = {
            "PING": b"+PONG\r\n",
            "AUTH": b"+OK\r\n",
            "INFO": b"$%d\r\n%s\r\n" % (len(body), body),
            **answers,
        }
        self.certificate, self.asked = certificate, []

    def __call__(self, client: socket.socket) -> None:
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
            client = context.wrap_socket(client, server_side=True)
        file = client.makefile("rb")
        while line := file.readline():
            words = []
            for _word in range(int(line[1:])):
                size = int(file.readline()[1:])
                words.append(file.read(size + 2)[:-2].decode())
            self.asked.append(words)
            client.sendall(self.answers.get(words[0], b"+OK\r\n"))


@pytest.fixture
def ask(talk, run_module):
    def run(server: Server, **arguments: object) -> dict:
        said = run_module(redis_health, {"port": talk(server), "timeout": 3, "password": PASSWORD, **arguments})
        assert PASSWORD not in str(said)
        return said

    return run


def test_it_logs_in_and_asks(ask):
    server = Server()
    said = ask(server, user="app")
    assert (said["healthy"], said["msg"]) == (True, f"Redis on {socket.gethostname()} is ok")
    assert server.asked[:3] == [["AUTH", "app", PASSWORD], ["PING"], ["INFO"]]
    server = Server()
    assert ask(server, password=None)["healthy"]
    assert server.asked[0] == ["PING"]
    server = Server()
    ask(server)
    assert server.asked[0] == ["AUTH", PASSWORD]


def test_a_unix_socket_and_tls(ask, talk, run_module, certificate: Path, tmp_path: Path):
    talk(Server(), unix=str(tmp_path / "redis.sock"))
    assert run_module(redis_health, {"unix_socket": str(tmp_path / "redis.sock")}, check_mode=True)["healthy"]
    assert ask(Server(certificate), tls=True, validate_certs=False)["healthy"]
    assert "its certificate is not valid" in ask(Server(certificate), tls=True)["msg"]
    assert "it does not speak TLS as it should" in ask(lambda client: client.sendall(b"-ERR\r\n" * 9), tls=True)["msg"]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"AUTH": b"-WRONGPASS invalid username-password pair\r\n"},
            "it refuses the password of app, or does not know",
        ),
        ({"PING": b"-NOAUTH Authentication required.\r\n"}, "it wants a user and a password, and none were given"),
        ({"PING": b"-LOADING Redis is loading\r\n"}, "it is still reading its data from the disk"),
        ({"INFO": b"-NOPERM this user has no permissions\r\n"}, "it does not allow app to run this command: this user"),
        ({"PING": b"-DENIED Redis is running in protected mode\r\n"}, "it lets nobody in from another host"),
        ({"AUTH": b"-ERR max number of clients reached\r\n"}, "it refuses connections: its maxclients are connected"),
        ({"PING": b"-ERR \xff\r\n"}, "it refuses: ERR \ufffd"),
        ({"INFO": b"+OK\r\n"}, "what answers there does not speak the protocol of Redis"),
        ({"INFO": b"$3\r\nabcde"}, "what answers there does not speak the protocol of Redis"),
        ({"INFO": b"*1\r\n"}, "what answers there does not speak the protocol of Redis"),
    ],
)
def test_a_server_that_refuses_is_told_with_its_reason(ask, answers: dict, words: str):
    assert f" fails: {words}" in ask(Server(**answers), user="app")["msg"]


REPLICA = {"role": "slave", "master_link_status": "up", "master_host": "db1", "master_last_io_seconds_ago": "1"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"used_memory": "85"}, "degraded: it uses 85 % of 100 bytes and evicts nothing: when that is full it refuses"),
        ({"used_memory": "101"}, "failed: it refuses writes: its 100 bytes are full, and it evicts nothing"),
        ({"used_memory": "101", "maxmemory_policy": "allkeys-lru"}, None),
        ({"maxmemory": "0"}, None),
        ({"connected_clients": "80"}, "degraded: 80 of 100 clients are connected"),
        ({"maxclients": "none"}, None),
        (
            {"loading": "1", "loading_loaded_perc": "12.5"},
            "failed: it is still reading its data from the disk (12.5 %)",
        ),
        ({"rdb_last_bgsave_status": "err"}, "failed: its last snapshot failed"),
        ({"aof_last_write_status": "err"}, "failed: it can't write its log"),
        ({"rdb_changes_since_last_save": "5", "unsaved_failed": 500}, "failed: its last snapshot is 17 min old"),
        ({**REPLICA}, None),
        ({**REPLICA, "wanted": "primary"}, "failed: it is a replica and should be a primary"),
        ({**REPLICA, "master_last_io_seconds_ago": "45"}, "degraded: it heard its primary 45 s ago"),
        (
            {**REPLICA, "master_link_status": "down", "master_link_down_since_seconds": "300"},
            "failed: its link to its primary db1 is down for 5 min",
        ),
        ({**REPLICA, "master_link_status": "down"}, "failed: its link to its primary db1 is down"),
        ({"replicas": 2}, "failed: 0 of 2 replicas follow it"),
    ],
)
def test_figures_are_judged_in_words(changes: dict, words: t.Optional[str]):
    changes = dict(changes)
    params = {name: option.get("default") for name, option in redis_health.ARGUMENTS.items()}
    params["role"] = changes.pop("wanted", "any")
    params.update({name: changes.pop(name) for name in list(changes) if name in params and name != "role"})
    checks = redis.judge({**GOOD, **changes}, params, now=2000)
    found = [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]
    assert len(found) == (words is not None), found
    assert not words or found[0].startswith(words)


def test_it_endures(endures):
    endures(redis_health, {"password": "canary-1"})


class Bytes:
    """A wire that gives these bytes and is then closed."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def line(self) -> bytes:
        line, _newline, self.data = self.data.partition(b"\n")
        return line.rstrip(b"\r")

    def exactly(self, count: int) -> bytes:
        if count > len(self.data):
            raise ConnectionError
        data, self.data = self.data[:count], self.data[count:]
        return data


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=20).map(lambda data: b"$%d\r\n%s\r\n" % (len(data), data))))
def test_any_answer_is_text_or_trouble(data: bytes):
    try:
        assert isinstance(redis.answer(Bytes(data)), str)
    except (Trouble, ConnectionError):
        assert not data.startswith((b"+", b"-"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_an_answer_is_what_was_sent(text: str):
    body = text.encode()
    assert redis.answer(Bytes(b"$%d\r\n%s\r\n" % (len(body), body))) == text
