# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks PostgreSQL: a server played with the protocol's other half, and servers that misbehave.

A real one is asked in tests/health.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _postgres_health, _postgres_wire, health
from ansible_collections.asgi.production.plugins.module_utils._postgres import verifier
from ansible_collections.asgi.production.plugins.module_utils._postgres_wire import message
from ansible_collections.asgi.production.plugins.modules import postgres_health
from hypothesis import given
from hypothesis import strategies as st

PASSWORD = "canary-4e1d"
GOOD = {
    "version": "15.6", "standby": False, "read_only": False, "slots": 100, "used": 7, "idle": 0, "oldest_idle": None,
    "oldest": None, "oldest_user": None, "blocked": 0, "size": 8 * 2**20, "wraparound": 700, "lag": None,
    "receiving": False, "standbys": [], "lost_slots": [], "archiving_fails": False,
}  # fmt: skip


class Server:
    """The server's side of the protocol."""

    def __init__(self, state: object = None, auth: str = "scram", certificate: t.Optional[Path] = None) -> None:
        self.state, self.auth, self.certificate = GOOD if state is None else state, auth, certificate
        self.extra = b""

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.client.recv(count - len(data))
            assert part
            data += part
        return data

    def receive(self) -> bytes:
        self.exactly(1)
        return self.exactly(struct.unpack("!i", self.exactly(4))[0] - 4)

    def ask(self, number: int, body: bytes = b"") -> None:
        self.client.sendall(message(b"R", struct.pack("!i", number) + body))

    def refuse(self, code: str, words: str) -> None:
        self.client.sendall(message(b"E", f"SFATAL\0C{code}\0M{words}\0\0".encode()))

    def __call__(self, client: socket.socket) -> None:
        self.client = client
        first = self.exactly(struct.unpack("!i", self.exactly(4))[0] - 4)
        if first == _postgres_wire.TLS[4:]:
            client.sendall(b"S" if self.certificate else b"N")
            if self.certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))
                self.client = context.wrap_socket(client, server_side=True)
            self.exactly(struct.unpack("!i", self.exactly(4))[0] - 4)
        if not getattr(self, self.auth)():
            return
        self.ask(0)
        self.client.sendall(message(b"S", b"server_version\x0015.6\0") + message(b"K", b"12345678"))
        self.client.sendall(message(b"Z", b"I"))
        sql = self.receive().decode()
        assert "json_build_object" in sql
        self.client.sendall(message(b"N", b"SNOTICE\0\0") + message(b"T", b"") + self.extra)
        value = self.state if isinstance(self.state, bytes) else json.dumps(self.state).encode()
        if value:
            row = struct.pack("!hi", 1, len(value)) + value
            self.client.sendall(message(b"D", row) + message(b"C", b"SELECT 1\0"))
        self.client.sendall(message(b"Z", b"I"))
        self.client.recv(5)

    # -- ways to log in

    def trust(self) -> bool:
        return True

    def full(self) -> None:
        self.refuse("53300", "sorry, too many clients already")

    def starting(self) -> None:
        self.refuse("57P03", "the database system is starting up")

    def strange(self) -> None:
        self.refuse("XX000", "cache lookup failed")

    def silent(self) -> None:
        self.client.sendall(message(b"E", b"\0"))

    def unknown(self) -> None:
        self.ask(7)

    def other(self) -> None:
        self.client.sendall(message(b"Q", b""))

    def plain(self) -> bool:
        self.ask(3)
        return self.receive() == f"{PASSWORD}\0".encode()

    def md5(self) -> bool:
        self.ask(5, b"salt")
        inner = hashlib.md5(f"{PASSWORD}shop".encode(), usedforsecurity=False).hexdigest().encode()
        return (
            self.receive() == b"md5" + hashlib.md5(inner + b"salt", usedforsecurity=False).hexdigest().encode() + b"\0"
        )

    def sha1(self) -> None:
        self.ask(10, b"SCRAM-SHA-1\0\0")

    def scram(self, lie: bool = False, skip: bool = False, challenge: str = "") -> bool:
        stored = verifier(PASSWORD, b"0123456789abcdef")
        rounds, salt = stored.split("$")[1].split(":")
        stored_key, server_key = (base64.b64decode(part) for part in stored.split("$")[2].split(":"))
        self.ask(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
        first = self.receive().partition(b"n,,")[2].decode()
        said = challenge or f"{first.partition('r=')[0]}r={first.partition('r=')[2]}more,s={salt},i={rounds}"
        said = said.replace("n=,", "")
        self.ask(11, said.encode())
        final = self.receive().decode()
        bare, proof = final.split(",p=")
        signed = f"{first},{said},{bare}".encode()
        signature = hmac.new(stored_key, signed, "sha256").digest()
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature))
        if hashlib.sha256(key).digest() != stored_key:
            self.refuse("28P01", 'password authentication failed for user "shop"')
            return False
        answer = base64.b64encode(hmac.new(server_key, signed, "sha256").digest()).decode()
        if not skip:
            self.ask(12, f"v={'AAAA' if lie else answer}".encode())
        return True

    def liar(self) -> bool:
        return self.scram(lie=True)

    def skipper(self) -> bool:
        return self.scram(skip=True)

    def thief(self) -> bool:
        return self.scram(challenge="r=another,s=QUFB,i=4096")

    def broken(self) -> bool:
        return self.scram(challenge="r=another,s=!,i=many")


@pytest.fixture
def ask(talk, run_module):
    def run(server: Server, **arguments: object) -> dict:
        wanted = {"port": talk(server), "user": "shop", "database": "shop", "password": PASSWORD, "timeout": 3}
        said = run_module(postgres_health, {**wanted, **arguments})
        assert PASSWORD not in str(said)
        return said

    return run


@pytest.mark.parametrize("auth", ["scram", "md5", "trust"])
def test_every_way_to_log_in(ask, auth: str):
    said = ask(Server(auth=auth))
    assert said["healthy"], said
    assert said["msg"].endswith("is ok")


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ("full", "it refuses connections: sorry, too many clients already"),
        ("starting", "it does not accept connections yet: the database system is starting up"),
        ("strange", "it refuses: cache lookup failed (XX000)"),
        ("silent", "it refuses: it does not say why (no code)"),
        ("unknown", "it wants a way to log in that this module does not know (number 7)"),
        ("sha1", "it wants a way to log in that this module does not know (number 10)"),
        ("plain", "it wants the password in clear text over an open network: turn TLS on"),
        ("other", "what answers there does not speak PostgreSQL's protocol"),
        ("liar", "it does not know the password itself: somebody may stand in between"),
        ("skipper", "it did not prove that it knows the password: somebody may stand in between"),
        ("thief", "it does not authenticate as PostgreSQL does: somebody may stand in between"),
        ("broken", "what answers there does not speak PostgreSQL's protocol"),
    ],
)
def test_a_server_that_does_not_let_in_is_told_with_its_reason(ask, auth: str, words: str):
    assert ask(Server(auth=auth))["msg"].endswith(f" fails: {words}")


def test_a_wrong_or_missing_password_is_named_by_its_user(ask):
    assert ask(Server(), password="canary-other")["msg"].endswith("it refuses the password of shop")
    assert ask(Server(), password=None)["msg"].endswith("it wants a password of shop, and none was given")


def test_tls(ask, certificate: Path):
    trust = {"tls": True, "ca_path": str(certificate)}
    assert "its certificate is not valid: " in ask(Server(certificate=certificate), **trust)["msg"]
    assert ask(Server(auth="plain", certificate=certificate), validate_certs=False, **trust)["healthy"]
    assert ask(Server(), **trust)["msg"].endswith("it does not offer TLS")


def test_the_socket_is_found_by_its_folder_and_port(talk, run_module, tmp_path: Path):
    talk(Server(auth="plain"), unix=str(tmp_path / ".s.PGSQL.5433"))
    wanted = {"unix_socket": str(tmp_path), "port": 5433, "user": "shop", "password": PASSWORD}
    said = run_module(postgres_health, wanted, check_mode=True)
    assert (said["healthy"], said["msg"]) == (True, f"PostgreSQL on {socket.gethostname()} is ok")
    assert run_module(postgres_health, dict(wanted, unix_socket=f"{tmp_path}/.s.PGSQL.5433"))["healthy"]


@pytest.mark.parametrize("state", [b"", b"no json", b"[]", {"used": "many"}])
def test_an_answer_that_is_no_state(ask, state: object):
    assert ask(Server(state))["msg"].endswith("it answers the question for its state with something else")


@pytest.mark.parametrize(
    "row", [b"", b"\0\x01\0\0", struct.pack("!hi", 1, 50) + b"x", struct.pack("!hi", 1, -1) + b"x"]
)
def test_a_row_that_is_none(ask, row: bytes):
    server = Server(b"")
    server.extra = message(b"D", row)
    assert ask(server)["msg"].endswith("what answers there does not speak PostgreSQL's protocol")


def judged(**changes: object) -> list[str]:
    """Status and message of what is not ok."""
    params = {name: option.get("default") for name, option in postgres_health.ARGUMENTS.items()}
    params.update({name: changes.pop(name) for name in list(changes) if name in params})
    checks = _postgres_health.judge({**GOOD, **changes}, params)
    return [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]


STANDBY = {"standby": True, "read_only": True, "receiving": True, "lag": 0}
FOLLOWER = {"name": "db2", "state": "streaming", "lag": None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"used": 80}, "degraded: 80 of 100 connections are in use"),
        (
            {"used": 100, "idle": 61, "oldest_idle": 14400.5},
            "failed: it refuses connections: 100 of 100 connections are in use, 61 of them idle in transaction, "
            "the oldest for 4 h",
        ),
        ({"used": 90, "idle": 1}, "degraded: 90 of 100 connections are in use, 1 of them idle in transaction"),
        ({"oldest": 10000, "oldest_user": "shop"}, "degraded: a transaction of shop is open for 3 h"),
        ({"oldest": 10, "oldest_user": "shop"}, None),
        ({"blocked": 1}, "degraded: 1 session waits for a lock for more than 10 s"),
        ({"blocked": 3}, "degraded: 3 sessions wait for a lock for more than 10 s"),
        ({"read_only": True}, "failed: it accepts no changes: default_transaction_read_only is on"),
        (STANDBY, None),
        ({**STANDBY, "role": "primary"}, "failed: it is a standby and should be a primary"),
        ({**STANDBY, "lag": 45}, "degraded: it is 45 s behind its primary"),
        ({**STANDBY, "lag": 600, "receiving": True}, "failed: it is 10 min behind its primary"),
        ({**STANDBY, "receiving": False}, "degraded: it does not receive anything from its primary"),
        ({"standbys": [FOLLOWER]}, None),
        ({"standbys_": 0, "standbys": 1}, "failed: 0 of 1 standbys follow it"),
        ({"lost_slots": ["db2", "db3"]}, "degraded: nobody reads the replication slot db2, db3: "),
        ({"archiving_fails": True}, "degraded: archiving its log fails: "),
        ({"archiving_fails": None}, None),
        ({"wraparound": 1_900_000_000}, "failed: no vacuum since 1900 of 2147 million transactions"),
        ({"size_degraded": 8, "database": "shop"}, "degraded: the database shop has 8.0 MiB"),
    ],
)
def test_a_state_is_judged_in_words(changes: dict, words: t.Optional[str]):
    changes = dict(changes)
    if isinstance(changes.get("standbys"), list):
        followers = changes.pop("standbys")
        params = {name: option.get("default") for name, option in postgres_health.ARGUMENTS.items()}
        lagging = {**followers[0], "lag": 400}
        found = _postgres_health.judge({**GOOD, "standbys": [followers[0], lagging]}, {**params, "standbys": 1})
        assert [c.message for c in found if c.status != "ok"] == ["its standby db2 is 7 min behind"]
        return
    changes.pop("standbys_", None)
    found = judged(**changes)
    assert len(found) == (words is not None), found
    assert not words or found[0].startswith(words)


def test_it_endures(endures):
    endures(postgres_health, {"password": "canary-1"})


@given(st.binary(max_size=200))
def test_any_row_is_read_or_refused(body: bytes):
    try:
        _postgres_wire.columns(body)
    except health.Trouble as error:
        assert str(error) == _postgres_wire.STRANGE
    _postgres_wire.refusal(body)


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)), max_size=5))
def test_a_row_is_read_as_it_was_written(values: list):
    row = struct.pack("!h", len(values))
    for value in values:
        data = (value or "").encode()
        row += struct.pack("!i", -1 if value is None else len(data)) + data
    assert _postgres_wire.columns(row) == values


@given(st.text(max_size=60))
def test_any_challenge_is_answered_or_refused(challenge: str):
    scram = _postgres_wire.Scram("secret", "nonce")
    with pytest.raises(health.Trouble):
        scram.final(challenge)
    with pytest.raises(health.Trouble):
        scram.verify(challenge)
