# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that keeps to one deadline, whatever the other side does. Private to this collection."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import socket
import ssl
import threading
import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils.health import Trouble

LARGEST = 2**22


class Wire:
    """A socket. ``end`` is the moment of time.monotonic() after which nothing is waited for any more."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self.sock, self.end, self.rest, self.received = sock, end, b"", 0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def hurry(self) -> None:
        """Give the next step the time that is left. Each step in time does not make the whole in time."""
        self.sock.settimeout(left(self.end))

    def sendall(self, data: bytes) -> None:
        self.hurry()
        self.sock.sendall(data)

    def recv(self, count: int) -> bytes:
        self.hurry()
        data = self.sock.recv(count)
        self.received += len(data)
        if self.received > LARGEST:
            raise Trouble(f"it does not stop sending: more than {LARGEST // 2**20} MiB")
        return data

    def more(self) -> None:
        data = self.recv(65536)
        if not data:
            raise ConnectionError("the other side has closed the connection")
        self.rest += data

    def exactly(self, count: int) -> bytes:
        """The next bytes, that many."""
        while len(self.rest) < count:
            self.more()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def line(self, longest: int = 8192) -> bytes:
        """The next line, without its end."""
        while b"\n" not in self.rest:
            if len(self.rest) > longest:
                raise Trouble("it does not speak the protocol that it should: its line does not end")
            self.more()
        data, _newline, self.rest = self.rest.partition(b"\n")
        return data.rstrip(b"\r")

    def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        self.hurry()
        self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def makefile(self, _mode: str, *_more: object) -> io.BufferedReader:
        """What http.client reads from."""
        return io.BufferedReader(Raw(self))


class Raw(io.RawIOBase):
    """The receiving side of a wire as a file."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        data = self.wire.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def left(end: float) -> float:
    """The seconds that are left."""
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise socket.timeout("the answer does not end in time")
    return seconds


def resolve(host: str, port: int, end: float) -> list[tuple]:
    """Addresses of a host. The system's own look-up knows no timeout, so it is left behind when it takes too long."""
    found: list[t.Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError, OverflowError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(left(end))
    if not found:
        raise socket.timeout(f"the name {host} is not found in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return [(family, address) for family, _kind, _protocol, _name, address in found[0]]


def connect(host: str, port: int, unix: str, end: float) -> Wire:
    """Connect to a unix socket, else to the first address of a host that lets itself be connected to."""
    places = [(socket.AF_UNIX, unix)] if unix else resolve(host, port, end)
    error: OSError = socket.gaierror("no address")
    for family, address in places:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left(end))
            sock.connect(address)
            return Wire(sock, end)
        except OSError as failure:
            sock.close()
            error = failure
    raise error


def tls_context(verify: bool = True, ca_path: str = "") -> ssl.SSLContext:
    """Trust the system's authorities, or the ones in a file or folder."""
    try:
        folder = os.path.isdir(ca_path)
        context = ssl.create_default_context(**({"capath" if folder else "cafile": ca_path} if ca_path else {}))
    except FileNotFoundError as error:
        raise Trouble(f"it was not asked: there is no {ca_path} with authorities to trust") from error
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.contextmanager
def acting_as(user: str) -> t.Iterator[None]:
    """Do something as another user of the system, where this is root."""
    if not user or os.geteuid() != 0:
        yield
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise Trouble(f"it was not asked: this host has no user {user}") from error
    groups, group = os.getgroups(), os.getegid()
    os.initgroups(user, entry.pw_gid)
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def reach(params: dict, seconds: float, user: str = "") -> Wire:
    """Connect as the options of health.SERVER say; TLS comes later, where the protocol wants it."""
    with acting_as(user):
        return connect(params["host"], params["port"], params["unix_socket"], time.monotonic() + seconds)
