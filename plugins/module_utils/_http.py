# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request, to a URL by another address or by a unix socket. Private to this collection."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
import typing as t
import urllib.parse

LARGEST = 2**20


class Answer(t.NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Connection(http.client.HTTPConnection):
    """A connection whose socket is given to it."""

    def __init__(self, host: str, sock: socket.socket) -> None:
        super().__init__(host)
        self.sock = sock


def get(url: str, address: str = "", port: int = 0, unix: str = "", timeout: float = 10, verify: bool = True) -> Answer:
    """GET a URL and read its answer, at most 1 MiB. No redirect is followed.

    ``address`` and ``port`` say where to connect instead of the URL's host; ``unix`` is the path of a socket.
    ``timeout`` is in seconds, for all of it as far as one step ends. Without ``verify`` any certificate will do.
    Raises OSError or http.client.HTTPException.
    """
    try:
        return reach(url, address, port, unix, timeout, verify)
    except OSError:  # some of which are ValueErrors as well
        raise
    except ValueError as error:  # a port or an address that is none, a path that is no ASCII
        raise http.client.InvalidURL(str(error)) from error


def reach(url: str, address: str, port: int, unix: str, timeout: float, verify: bool) -> Answer:
    end = time.monotonic() + timeout
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    with contextlib.ExitStack() as stack:
        if unix:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.settimeout(timeout)
            sock.connect(unix)
        else:
            there = (address or parts.hostname or "", port or parts.port or (443 if secure else 80))
            sock = stack.enter_context(socket.create_connection(there, timeout))
        if secure:
            context = ssl.create_default_context()
            if not verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = stack.enter_context(context.wrap_socket(sock, server_hostname=parts.hostname))
        return ask(Connection(parts.netloc.rpartition("@")[2], sock), parts, end)


def ask(connection: Connection, parts: urllib.parse.SplitResult, end: float) -> Answer:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sock = connection.sock
    # HTTPConnection writes the header Host itself, from the name that it was given.
    connection.request("GET", path, headers={"Connection": "close", "User-Agent": "asgi.production"})
    answer = connection.getresponse()
    body = b""
    while len(body) < LARGEST and not answer.isclosed():  # a whole answer has closed its socket
        left = end - time.monotonic()
        if left <= 0:  # each part in time does not make the whole in time
            raise TimeoutError("the answer does not end in time")
        sock.settimeout(left)
        part = answer.read1(LARGEST - len(body))
        if not part:
            break
        body += part
    return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, body)
