# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the one HTTP request, against real servers."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _http


def test_an_answer_is_status_headers_and_body(serve):
    server = serve(lambda handler: handler.reply(404, b"no", X_Word="Here"))
    answer = _http.get(f"http://127.0.0.1:{server.port}/a/b?c=d#e")
    assert (answer.status, answer.headers["x-word"], answer.body) == (404, "Here", b"no")
    path, headers = server.asked[0]
    assert path == "/a/b?c=d"
    assert (headers["Host"], headers["Connection"]) == (f"127.0.0.1:{server.port}", "close")


def test_the_url_names_the_site_and_address_and_port_where_it_is(serve):
    server = serve()
    assert _http.get("http://user:pass@shop.test", address="127.0.0.1", port=server.port).body == b"hello"
    path, headers = server.asked[0]
    assert (path, headers["Host"]) == ("/", "shop.test")
    assert "Authorization" not in headers


def test_a_redirect_is_an_answer(serve):
    server = serve(lambda handler: handler.reply(301, Location="http://192.0.2.1/"))
    assert _http.get(f"http://127.0.0.1:{server.port}").status == 301
    assert len(server.asked) == 1


def test_a_unix_socket_is_asked_by_its_path(serve, tmp_path: Path):
    server = serve(unix=str(tmp_path / "app.sock"))
    assert _http.get("http://[::1]:8000/x", unix=str(tmp_path / "app.sock")).body == b"hello"
    assert server.asked[0][1]["Host"] == "[::1]:8000"


def test_a_socket_that_is_not_there_is_an_oserror(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        _http.get("http://localhost/", unix=str(tmp_path / "app.sock"))


def test_a_port_where_nobody_listens_is_an_oserror():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            _http.get(f"http://127.0.0.1:{unheard.getsockname()[1]}/")


def test_a_certificate_must_be_valid_for_the_urls_host(serve, certificate: Path, monkeypatch: pytest.MonkeyPatch):
    server = serve(certificate=certificate)
    there = {"address": "127.0.0.1", "port": server.port}
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        _http.get("https://shop.test/", **there)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert _http.get("https://shop.test/", **there).body == b"hello"
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.test"):
        _http.get("https://other.test/", **there)


def test_without_verify_any_certificate_will_do(serve, certificate: Path):
    server = serve(certificate=certificate)
    assert _http.get(f"https://127.0.0.1:{server.port}/", verify=False).status == 200


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_a_url_without_a_port_means_the_schemes_own(scheme: str, port: int, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def refuse(host: str, number: int, unix: str, _end: float) -> None:
        asked.append((host, number, unix))
        raise ConnectionRefusedError

    monkeypatch.setattr(_http._wire, "connect", refuse)
    with pytest.raises(ConnectionRefusedError):
        _http.get(f"{scheme}://shop.test/", timeout=3)
    assert asked == [("shop.test", port, "")]


def test_no_answer_in_time_is_an_oserror(serve):
    server = serve(lambda handler: time.sleep(0.5))
    with pytest.raises(TimeoutError):
        _http.get(f"http://127.0.0.1:{server.port}/", timeout=0.1)


def test_an_answer_that_trickles_in_does_not_outlast_the_timeout(serve):
    def trickle(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _byte in range(40):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server, start = serve(trickle), time.monotonic()
    with pytest.raises(TimeoutError):
        _http.get(f"http://127.0.0.1:{server.port}/", timeout=0.3)
    assert time.monotonic() - start < 1.5


def test_headers_that_trickle_in_do_not_outlast_the_timeout(serve):
    def trickle(handler) -> None:
        for _byte in range(60):
            handler.wfile.write(b"H")
            time.sleep(0.05)

    server, start = serve(trickle), time.monotonic()
    with pytest.raises(OSError):
        _http.get(f"http://127.0.0.1:{server.port}/", timeout=0.3)
    assert time.monotonic() - start < 1


def test_an_answer_that_ends_with_the_connection_is_read_to_its_end(talk):
    def say(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none ")
        time.sleep(0.1)
        client.sendall(b"two")

    assert _http.get(f"http://127.0.0.1:{talk(say)}/").body == b"one two"


def test_of_a_huge_answer_the_first_mebibyte_is_read(serve):
    server = serve(lambda handler: handler.reply(200, b"x" * (_http.LARGEST + 5000)))
    assert len(_http.get(f"http://127.0.0.1:{server.port}/").body) == _http.LARGEST


def test_what_is_no_http_is_told_apart(serve):
    server = serve(lambda handler: handler.wfile.write(b"220 mail.test ESMTP\r\n"))
    with pytest.raises(http.client.BadStatusLine):
        _http.get(f"http://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    "url", ["http://shop.test:99999/", "http://[::1/", "http://127.0.0.1:{port}/ü", "http://x/a b"]
)
def test_a_url_that_cannot_be_asked_is_an_error_that_callers_expect(serve, url: str):
    server = serve()
    with pytest.raises(http.client.InvalidURL):
        _http.get(url.format(port=server.port), **({"address": "127.0.0.1", "port": server.port} if " " in url else {}))
