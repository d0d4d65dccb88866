# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what every health module shares."""

from __future__ import annotations

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
        ([OK, DEGRADED, FAILED], "failed", "failed", "https://shop.test/ is failed: b is slow; c"),
        ([DEGRADED], "degraded", "failed", "https://shop.test/ is degraded: b is slow"),
        ([FAILED], "never", "ok", "https://shop.test/ is failed: c"),
    ],
)
def test_a_message_names_the_target_and_all_that_is_wrong(checks: list, fail_on: str, how: str, message: str):
    ended, result = finish(checks, fail_on)
    assert (ended, result["msg"], result["changed"]) == (how, message, False)
