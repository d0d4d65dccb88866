# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that looks at a certificate, with certificates made by openssl."""

from __future__ import annotations

import ssl
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _tls_health, _x509
from ansible_collections.asgi.production.plugins.modules import tls_health
from hypothesis import given
from hypothesis import strategies as st

PARAMS = {name: option.get("default") for name, option in tls_health.ARGUMENTS.items()}
DAY = 86400


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[..., Path]:
    """Return a function that makes a certificate with a kind of key."""
    folder = tmp_path_factory.mktemp("certificates")

    def run(name: str, *key: str, days: int = 90, san: str = "DNS:shop.test,DNS:*.shop.test,IP:127.0.0.1") -> Path:
        path = folder / f"{name}.crt"
        argv = ["openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", str(days), "-subj", "/O=Org/CN=Ä shop"]
        more = ["-utf8", *(["-addext", f"subjectAltName={san}"] if san else [])]
        subprocess.run(
            [*argv, *more, "-keyout", path.with_suffix(".key"), "-out", path], check=True, capture_output=True
        )
        return path

    return run


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_what_is_read_of_a_certificate(make):
    found = _x509.read(der(make("rsa", "rsa:2048")))
    assert (found.subject, found.issuer, found.key, found.bits) == ("Ä shop", "Ä shop", "RSA 2048", 2048)
    assert found.names == ["shop.test", "*.shop.test", "127.0.0.1"]
    assert found.ends - found.begins == 90 * DAY
    assert abs(found.begins - time.time()) < 60
    assert _x509.read(der(make("ed", "ed25519", san=""))).key == "Ed25519"
    assert _x509.read(der(make("ec", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", days=20000))).key == "EC P-384"


@pytest.mark.parametrize(
    ("host", "good"), [("shop.test", True), ("WWW.shop.test.", True), ("a.b.shop.test", False), ("test", False)]
)
def test_names_that_are_covered(host: str, good: bool):
    assert _x509.covers(["shop.test", "*.shop.test"], host) is good


@given(st.binary(max_size=120))
def test_any_bytes_are_a_certificate_or_none(data: bytes):
    with pytest.raises(ValueError, match="no certificate"):
        _x509.read(data)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_certificate_with_a_wrong_byte_is_read_or_refused(make_once: bytes, place: int, value: int):
    data = bytearray(make_once)
    data[place % len(data)] = value
    try:
        _x509.read(bytes(data))
    except ValueError as error:
        assert "no certificate" in str(error)


@pytest.fixture(scope="session")
def make_once(make) -> bytes:
    return der(make("broken", "ed25519"))


def judged(path: Path, ahead: float = 0, distrust: str = "", **changes: object) -> list[str]:
    answer = _tls_health.Served(der(path), "TLSv1.3", "x", distrust)
    checks = _tls_health.judge(answer, {**PARAMS, "server_name": "shop.test", **changes}, time.time() + ahead * DAY)
    return [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]


def test_a_certificate_is_judged_in_words(make):
    path = make("judged", "rsa:1024")
    (weak,) = judged(path)
    assert weak == "degraded: its key is weak: RSA 1024"
    assert judged(path, 75)[0].startswith("degraded: its certificate expires in 15 days, on ")
    assert judged(path, 88)[0].startswith("failed: its certificate expires in 2 days, on ")
    assert judged(path, 91)[0].startswith("failed: its certificate has expired on ")
    assert judged(path, -5)[0].startswith("failed: its certificate is valid only from ")
    assert judged(path, names=["shop.test", "b.test"])[0] == (
        "failed: its certificate is for shop.test, *.shop.test, 127.0.0.1, not for b.test"
    )
    words = "its certificate, issued by Ä shop, is not trusted: self-signed"
    assert judged(path, distrust="self-signed", untrusted="degraded")[0] == f"degraded: {words}"


def test_a_server_is_asked(serve, make, run_module, tmp_path: Path):
    path = make("served", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    wanted = {"port": serve(certificate=path).port, "server_name": "shop.test", "file": str(path)}
    said = run_module(tls_health, wanted)
    assert said["msg"].endswith("its certificate, issued by Ä shop, is not trusted: self-signed certificate")
    assert run_module(tls_health, dict(wanted, ca_path=str(path)), check_mode=True)["healthy"]
    other = make("other", "ed25519")
    said = run_module(tls_health, dict(wanted, ca_path=str(path), file=str(other)))
    assert said["status"] == "degraded"
    assert said["msg"].endswith(f"it serves another certificate than the one in {other}: reload the server")
    (tmp_path / "empty").touch()
    said = run_module(tls_health, dict(wanted, file=str(tmp_path / "empty")))
    assert "holds no certificate" in said["msg"]
    assert "can't be read: No such file" in run_module(tls_health, dict(wanted, file="/nowhere"))["msg"]


def test_no_certificate_at_all():
    with pytest.raises(OSError, match="no certificate that can be read"):
        _tls_health.judge(_tls_health.Served(b"", "", "", ""), PARAMS, 0)


def test_it_endures(endures):
    endures(tls_health, {})
