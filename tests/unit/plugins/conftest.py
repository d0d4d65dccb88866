# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several kinds of plugins share: modules run in this process, real HTTP servers."""

from __future__ import annotations

import http.server
import json
import socketserver
import ssl
import subprocess
import threading
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
