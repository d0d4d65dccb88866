# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several kinds of plugins share: modules run in this process, real HTTP servers."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture) -> t.Callable[..., dict]:
    """Return a function that runs a module's main() and returns what it printed."""

    def run(module: t.Any, arguments: dict, **internal: bool) -> dict:
        args = dict(arguments, **{f"_ansible_{key}": value for key, value in internal.items()})
        with patch_module_args(args), pytest.raises(SystemExit) as ended:
            module.main()
        said = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        assert bool(said.get("failed")) is bool(ended.value.code)
        return said

    return run


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as its server's `answer` says, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:  # a unix socket's client has no address
        return "client"

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """A client that goes away in the middle is part of the tests."""


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def serve() -> t.Iterator[t.Callable[..., t.Any]]:
    """Return a function that starts a server: on a port, or on a socket; with TLS when given a certificate."""
    servers = []

    def start(
        answer: t.Callable[[Handler], None] = lambda handler: handler.reply(200, b"hello"),
        unix: str = "",
        certificate: t.Optional[Path] = None,
    ) -> t.Any:
        server = UnixServer(unix, Handler) if unix else TcpServer(("127.0.0.1", 0), Handler)
        server.asked, server.answer = [], answer
        server.port = 0 if unix else server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a certificate for shop.test that signs itself; its key stands beside it."""
    path = tmp_path_factory.mktemp("tls") / "shop.crt"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-days", "2", "-subj", "/CN=shop.test", "-addext", "subjectAltName=DNS:shop.test"]
    subprocess.run([*request, "-keyout", path.with_suffix(".key"), "-out", path], check=True, capture_output=True)
    return path


@pytest.fixture
def talk() -> t.Iterator[t.Callable[..., int]]:
    """Return a function that lets a server say something to each client; it returns the port."""
    servers = []

    def start(say: t.Callable[[socket.socket], None], unix: str = "") -> int:
        class Speaker(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, AssertionError):
                    say(self.request)

        server = UnixServer(unix, Speaker) if unix else TcpServer(("127.0.0.1", 0), Speaker)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return 0 if unix else server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _drip(client: socket.socket) -> None:
    for byte in b"+-:$*R1 V" * 100:
        client.sendall(bytes([byte]))
        time.sleep(0.05)


def _flood(client: socket.socket) -> None:
    while True:
        client.sendall(bytes(range(256)) * 256)


# What a server may do that is not the one that it should be, or is ill.
HOSTILE: dict[str, t.Callable[[socket.socket], object]] = {
    "silence": lambda client: time.sleep(1),
    "goes at once": lambda client: None,
    "half an answer": lambda client: client.sendall(b"R\0\0"),
    "half-closed": lambda client: (client.shutdown(socket.SHUT_WR), time.sleep(1)),
    "slow drip": _drip,
    "garbage without end": _flood,
    "no end of a line": lambda client: client.sendall(b"a" * 2**20),
    "another protocol": lambda client: client.sendall(b"220 m\xc3\xa4il.test ESMTP\r\n" * 3),
    "letters of escape": lambda client: client.sendall(b"-\x1b]0;owned\x07\r\n"),
    "numbers that are none": lambda client: client.sendall(b"$99999999999\r\n*-7\r\n:x\r\n"),
}


@pytest.fixture(params=list(HOSTILE))
def hostile(request: pytest.FixtureRequest, talk: t.Callable[..., int]) -> int:
    """The port of a server that does not behave."""
    return talk(HOSTILE[request.param])


@pytest.fixture
def endures(run_module: t.Callable[..., dict], hostile: int) -> t.Callable[[t.Any, dict], str]:
    """Return a function that sees that a module says why in time, whatever the server does."""

    def ask(module: t.Any, arguments: dict) -> str:
        began = time.monotonic()
        said = run_module(module, {"port": hostile, "timeout": 0.6, **arguments})
        assert time.monotonic() - began < 1.6
        assert (said["failed"], said["status"], said["checks"][0]["name"]) == (True, "failed", "answer")
        assert said["msg"].isprintable()
        assert "canary" not in str(said)
        return said["msg"]

    return ask
