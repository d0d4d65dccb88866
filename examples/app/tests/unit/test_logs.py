# SPDX-License-Identifier: GPL-3.0-or-later
import logging

import pytest
from fastapi.testclient import TestClient
from loguru import logger

from shop.logs import configure
from tests.lines import log_lines


def test_one_line_for_a_request(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    answer = client.get("/slow?seconds=0", headers={"X-Request-ID": "id-1"})
    assert answer.headers["x-request-id"] == "id-1"
    (line,) = log_lines(capsys.readouterr().err)
    assert line["time"].endswith("+00:00")
    assert isinstance(line["duration_ms"], float)
    expected = {"level": "INFO", "message": "request", "request_id": "id-1", "method": "GET", "path": "/slow"}
    assert line.items() >= {**expected, "status": 200}.items()


@pytest.mark.parametrize("bad", ["", "a b", 'x"y', "x" * 129])
def test_a_bad_request_id_is_replaced(client: TestClient, bad: str) -> None:
    got = client.get("/whoami", headers={"X-Request-ID": bad})
    assert got.headers["x-request-id"] == got.json()["request_id"]
    assert len(got.json()["request_id"]) == 32


def test_failure_is_logged_once_with_its_stack(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    answer = client.get("/fail", headers={"X-Request-ID": "id-2"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "id-2")
    error, request = log_lines(capsys.readouterr().err)
    assert (error["level"], error["request_id"]) == ("ERROR", "id-2")
    assert error["exception"].endswith("RuntimeError: this endpoint always fails\n")
    assert (request["status"], request["request_id"]) == (500, "id-2")


def test_probes_are_quiet(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    client.get("/health/live")
    client.get("/health/ready")
    assert capsys.readouterr().err == ""


def test_standard_logging_is_intercepted(capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    for name in ("uvicorn.error", "gunicorn.error", "some.package"):
        logging.getLogger(name).warning("hello %s", "{name}")
    logging.getLogger("uvicorn.access").info("twice")
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "x", "/ws")
    lines = log_lines(capsys.readouterr().err)
    assert [(line["logger"], line["message"]) for line in lines] == [
        ("uvicorn.error", "hello {name}"),
        ("gunicorn.error", "hello {name}"),
        ("some.package", "hello {name}"),
    ]


def test_no_values_of_variables_in_a_stack(capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    password = "".join(["can", "ary"])
    try:
        raise ValueError(len(password))
    except ValueError:
        logger.exception("failed")
    assert "canary" not in capsys.readouterr().err
