# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's protocol 3.0, as far as one query needs it. Private to this collection."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _wire, health
from ansible_collections.asgi.production.plugins.module_utils.health import Trouble

LARGEST = 2**20
TLS = struct.pack("!ii", 8, 80877103)
STRANGE = "what answers there does not speak PostgreSQL's protocol"


class Refused(Trouble):
    """The server has refused, with a code of SQLSTATE and its own words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"it refuses: {message} ({code})")
        self.code, self.message = code, message


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(user: str, database: str) -> bytes:
    """The first message, which alone has no kind."""
    pairs = {"user": user, "database": database, "application_name": "asgi.production", "client_encoding": "UTF8"}
    body = struct.pack("!i", 196608) + b"".join(f"{k}\0{v}\0".encode() for k, v in pairs.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def fields(body: bytes) -> dict[str, str]:
    """The fields of an error, by their letters."""
    parts = [part.decode("utf-8", "replace") for part in body.split(b"\0") if part]
    return {part[0]: part[1:] for part in parts}


def refusal(body: bytes) -> Refused:
    found = fields(body)
    return Refused(health.words(found.get("C", "no code")), health.words(found.get("M", "it does not say why")))


def columns(body: bytes) -> list[t.Optional[str]]:
    """The values of one row."""
    try:
        (count,), place, found = struct.unpack_from("!h", body), 2, []
        for _column in range(count):
            (length,) = struct.unpack_from("!i", body, place)
            place += 4
            found.append(None if length < 0 else body[place : place + length].decode("utf-8", "replace"))
            place += max(0, length)
    except struct.error as error:
        raise Trouble(STRANGE) from error
    if place != len(body):
        raise Trouble(STRANGE)
    return found


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest().encode()
    return b"md5" + hashlib.md5(inner + salt, usedforsecurity=False).hexdigest().encode() + b"\0"


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 7677), without channel binding."""

    def __init__(self, password: str, nonce: str = "") -> None:
        self.password, self.nonce = password, nonce or base64.b64encode(os.urandom(18)).decode()
        self.first = f"n=,r={self.nonce}"
        self.proof_of_server = b""

    def final(self, challenge: str) -> str:
        """Answer the server's challenge."""
        found = dict(part.split("=", 1) for part in challenge.split(",") if "=" in part)
        try:
            nonce, salt, rounds = found["r"], base64.b64decode(found["s"], validate=True), int(found["i"])
        except (KeyError, ValueError) as error:
            raise Trouble(STRANGE) from error
        if not nonce.startswith(self.nonce) or not 1 <= rounds <= 10_000_000:
            raise Trouble("it does not authenticate as PostgreSQL does: somebody may stand in between")
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt, rounds)
        bare = f"c=biws,r={nonce}"
        signed = f"{self.first},{challenge},{bare}".encode()
        key = hmac.new(salted, b"Client Key", "sha256").digest()
        signature = hmac.new(hashlib.sha256(key).digest(), signed, "sha256").digest()
        self.proof_of_server = hmac.new(hmac.new(salted, b"Server Key", "sha256").digest(), signed, "sha256").digest()
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        return f"{bare},p={proof}"

    def verify(self, said: str) -> None:
        """A server that does not know the password's verifier is not the one that we want."""
        wanted = "v=" + base64.b64encode(self.proof_of_server).decode()
        if not self.proof_of_server or not hmac.compare_digest(said.encode(), wanted.encode()):
            raise Trouble("it does not know the password itself: somebody may stand in between")


class Session:
    """A connection that is logged in."""

    def __init__(self, wire: _wire.Wire, user: str, password: str, private: bool) -> None:
        """``private`` says that nobody can listen: TLS, or a unix socket."""
        self.wire, self.user, self.password, self.private = wire, user, password, private
        self.scram = Scram(password)
        self.parameters: dict[str, str] = {}

    def receive(self) -> tuple[bytes, bytes]:
        """The next message that is neither a notice nor a parameter. An error is raised."""
        while True:
            kind, length = self.wire.exactly(1), struct.unpack("!i", self.wire.exactly(4))[0] - 4
            if not 0 <= length <= LARGEST or not kind.isalpha():
                raise Trouble(STRANGE)
            body = self.wire.exactly(length)
            if kind == b"E":
                raise refusal(body)
            if kind == b"S":
                name, _zero, value = body.rstrip(b"\0").partition(b"\0")
                self.parameters[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
            elif kind not in b"NK":
                return kind, body

    def log_in(self, database: str) -> None:
        self.wire.sendall(startup(self.user, database))
        while True:
            kind, body = self.receive()
            if kind == b"Z":
                return
            if kind != b"R" or len(body) < 4:
                raise Trouble(STRANGE)
            answer = self.authenticate(struct.unpack("!i", body[:4])[0], body[4:])
            if answer:
                self.wire.sendall(message(b"p", answer))

    def authenticate(self, how: int, body: bytes) -> bytes:
        if how == 0:
            if self.scram.proof_of_server and not self.verified:
                raise Trouble("it did not prove that it knows the password: somebody may stand in between")
            return b""
        if how in (3, 5, 10) and not self.password:
            raise Trouble(f"it wants a password of {self.user}, and none was given")
        if how == 3 and self.private:
            return self.password.encode() + b"\0"
        if how == 3:
            raise Trouble("it wants the password in clear text over an open network: turn TLS on")
        if how == 5:
            return md5_answer(self.user, self.password, body[:4])
        if how == 10 and b"SCRAM-SHA-256" in body.split(b"\0"):
            first = f"n,,{self.scram.first}".encode()
            return b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
        if how == 11:
            return self.scram.final(body.decode("utf-8", "replace")).encode()
        if how == 12:
            self.scram.verify(body.decode("utf-8", "replace"))
            self.verified = True
            return b""
        raise Trouble(f"it wants a way to log in that this module does not know (number {how})")

    verified = False

    def rows(self, sql: str) -> list[list[t.Optional[str]]]:
        """Run one query; return its rows."""
        self.wire.sendall(message(b"Q", sql.encode() + b"\0"))
        found = []
        while True:
            kind, body = self.receive()
            if kind == b"D":
                found.append(columns(body))
            elif kind == b"Z":
                return found

    def close(self) -> None:
        """Say goodbye, so that the server's log has no line about a lost connection."""
        try:
            self.wire.sendall(message(b"X", b""))
        except OSError:
            return


def ask(params: dict, seconds: float, sql: str) -> list[list[t.Optional[str]]]:
    """Connect, log in, ask one thing."""
    with _wire.reach(params, seconds, params["os_user"]) as wire:
        if params["tls"]:
            wire.sendall(TLS)
            if wire.exactly(1) != b"S" or wire.rest:
                raise Trouble("it does not offer TLS")
            wire.start_tls(_wire.tls_context(params["validate_certs"], params["ca_path"]), params["host"])
        private = params["tls"] or bool(params["unix_socket"])
        session = Session(wire, params["user"], params["password"] or "", private)
        session.log_in(params["database"])
        rows = session.rows(sql)
        session.close()
        return rows
