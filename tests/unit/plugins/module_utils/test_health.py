# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what every health module shares."""

from __future__ import annotations

import socket
import ssl
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.module_utils import health
from ansible_collections.asgi.production.plugins.module_utils.health import Check

OK, DEGRADED, FAILED = Check("a", "ok"), Check("b", "degraded", message="b is slow"), Check("c", "failed")


class Clock:
    """A clock that only sleeping, and the probe, moves."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def poll(answers: list[list[Check]], takes: float = 0, **params: object):
    """Poll a probe that gives these answers, the last one again and again."""
    clock, lefts = Clock(), []

    def probe(left: float) -> list[Check]:
        lefts.append(left)
        clock.now += takes
        return answers[min(len(lefts), len(answers)) - 1]

    defaults = {name: option["default"] for name, option in health.ARGUMENTS.items()}
    return health.poll(probe, {**defaults, **params}, clock.sleep, clock), lefts, clock.slept


@pytest.mark.parametrize(
    ("checks", "status"),
    [([OK, OK], "ok"), ([OK, DEGRADED], "degraded"), ([DEGRADED, FAILED, OK], "failed"), ([], "failed")],
)
def test_the_worst_answer_counts_and_no_answer_is_a_failure(checks: list, status: str):
    assert health.worst(checks) == status


@pytest.mark.parametrize(
    ("fail_on", "failing"), [("failed", {"failed"}), ("degraded", {"degraded", "failed"}), ("never", set())]
)
def test_fail_on_says_what_is_a_failure(fail_on: str, failing: set):
    assert {status for status in health.WORSE if health.fails(status, fail_on)} == failing


def test_one_good_answer_ends_it():
    result, lefts, slept = poll([[OK]], retries=5, takes=0.25)
    assert result == {"healthy": True, "status": "ok", "checks": [OK._asdict()], "attempts": 1, "elapsed": 0.25}
    assert (lefts, slept) == ([30], [])


def test_it_asks_again_until_it_is_good_enough():
    result, lefts, slept = poll([[FAILED], [FAILED], [DEGRADED], [OK]], retries=9, delay=2)
    assert (result["status"], result["healthy"], result["attempts"]) == ("degraded", False, 3)
    assert (lefts, slept) == ([30, 28, 26], [2, 2])


def test_without_retries_one_bad_answer_is_the_answer():
    assert poll([[FAILED]])[0]["attempts"] == 1


def test_retries_are_used_up():
    result, _lefts, slept = poll([[FAILED]], retries=3)
    assert (result["attempts"], len(slept)) == (4, 3)


def test_no_attempt_begins_after_the_timeout():
    result, lefts, _slept = poll([[FAILED]], retries=99, timeout=10, delay=4, takes=1)
    assert (result["attempts"], result["elapsed"]) == (2, 6)
    assert lefts == [10, 5]


def test_a_probe_always_gets_some_time():
    assert poll([[FAILED]], timeout=0)[1] == [0.1]


@pytest.mark.parametrize(
    ("value", "low", "status"),
    [(79, False, "ok"), (80, False, "degraded"), (95, False, "failed"), (95.1, True, "ok"), (3, True, "failed")],
)
def test_thresholds_count_from_themselves_on(value: float, low: bool, status: str):
    params = {"use_degraded": 95 if low else 80, "use_failed": 3 if low else 95}
    check = health.measured("use", value, params, "it is used", "%", low)
    assert (check.status, bool(check.message), check.threshold["failed"]) == (
        status,
        status != "ok",
        params["use_failed"],
    )


def test_a_negative_threshold_is_never_reached():
    options = health.limits(use=(-1, 5), age=(1, 2))
    assert list(options) == ["use_degraded", "use_failed", "age_degraded", "age_failed"]
    params = {name: option["default"] for name, option in options.items()}
    assert health.measured("use", 4, params, "x") == Check("use", "ok", 4, "", {"failed": 5}, "")


def test_values_as_people_say_them():
    assert [health.duration(n) for n in (5, 150, 15000, 200000)] == ["5 s", "2 min", "4 h", "2 days"]
    assert [health.size(n) for n in (5, 2048, 2**30, 3 * 2**40)] == ["5 bytes", "2.0 KiB", "1.0 GiB", "3.0 TiB"]
    assert (health.percent(1, 3), health.percent(1, 0)) == (33.3, 0.0)


def test_nothing_that_a_terminal_would_obey_is_repeated():
    assert health.words(b"\x1b[31mred\n\t\xff end\x00") == "[31mred \ufffd end"
    assert health.words("x" * 1000).endswith("xx...")
    assert len(health.words("x" * 1000)) == 300


def test_a_place_is_this_host_by_name_or_another_by_address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health.socket, "gethostname", lambda: "db1")
    assert health.where({"host": "127.0.0.1", "port": 1, "unix_socket": ""}) == "on db1"
    assert health.where({"host": "10.0.0.5", "port": 1, "unix_socket": "/a"}) == "on db1"
    assert health.where({"host": "10.0.0.5", "port": 5432, "unix_socket": ""}) == "at 10.0.0.5:5432"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (health.Trouble("it wants more"), "it wants more"),
        (socket.timeout("x"), "it does not answer within 3 s"),
        (ConnectionRefusedError(), "nothing listens there"),
        (ConnectionResetError(), "it closed the connection before its answer was whole"),
        (FileNotFoundError(), "its socket is not there"),
        (PermissionError(), "its socket must not be opened by this user"),
        (BlockingIOError(), "its queue of connections is full"),
        (socket.gaierror(), "its name has no address"),
        (ssl.SSLError(1, "x"), "it does not speak TLS as it should"),
        (ssl.SSLEOFError(8, "x"), "it closes the connection where TLS should begin"),
        (OSError(113, "No route to host"), "it can't be reached ([Errno 113] No route to host)"),
        (OSError(), "it can't be reached (OSError)"),
    ],
)
def test_an_error_is_said_as_a_person_would(error: OSError, sentence: str):
    assert health.reason(error, 3) == sentence


def test_an_error_of_the_probe_is_an_answer():
    def probe(_left: float) -> list[Check]:
        raise ConnectionRefusedError

    defaults = {name: option["default"] for name, option in health.ARGUMENTS.items()}
    (check,) = health.poll(probe, defaults)["checks"]
    assert (check["name"], check["status"], check["message"]) == ("answer", "failed", "nothing listens there")


class Ended(Exception):
    """How the module ended."""


def finish(checks: list[Check], fail_on: str = "failed") -> tuple[str, dict]:
    def end(how: str):
        def raiser(**result: object) -> None:
            raise Ended(how, result)

        return raiser

    module = SimpleNamespace(params={"fail_on": fail_on}, fail_json=end("failed"), exit_json=end("ok"))
    result = {"status": health.worst(checks), "checks": [check._asdict() for check in checks]}
    with pytest.raises(Ended) as ended:
        health.finish(module, "https://shop.test/", result)
    return ended.value.args


@pytest.mark.parametrize(
    ("checks", "fail_on", "how", "message"),
    [
        ([OK], "degraded", "ok", "https://shop.test/ is ok"),
        ([OK, DEGRADED], "failed", "ok", "https://shop.test/ is degraded: b is slow"),
        ([OK, DEGRADED, FAILED], "failed", "failed", "https://shop.test/ fails: c; b is slow"),
        ([DEGRADED], "degraded", "failed", "https://shop.test/ is degraded: b is slow"),
        ([FAILED], "never", "ok", "https://shop.test/ fails: c"),
    ],
)
def test_a_message_names_the_target_and_all_that_is_wrong(checks: list, fail_on: str, how: str, message: str):
    ended, result = finish(checks, fail_on)
    assert (ended, result["msg"], result["changed"]) == (how, message, False)
