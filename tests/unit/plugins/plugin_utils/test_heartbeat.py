# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the sign of life."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.plugin_utils import _heartbeat


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that are displayed."""
    said: list[str] = []
    monkeypatch.setattr(_heartbeat, "Display", lambda: SimpleNamespace(display=said.append))
    return said


def test_what_ends_soon_says_nothing(lines: list[str]):
    with _heartbeat.heartbeat("one: build goes on"):
        pass
    assert lines == []


def test_it_tells_how_long_it_has_been(lines: list[str], monkeypatch: pytest.MonkeyPatch):
    twice = threading.Event()
    monkeypatch.setattr(
        _heartbeat,
        "Display",
        lambda: SimpleNamespace(display=lambda line: (lines.append(line), len(lines) < 2 or twice.set())),
    )
    with _heartbeat.heartbeat("one: build goes on", every=0.01):
        assert twice.wait(5)
    assert lines[:2] == ["one: build goes on (0.01 s)", "one: build goes on (0.02 s)"]


def test_it_ends_with_its_block_also_by_an_error(lines: list[str]):
    before = threading.active_count()
    with pytest.raises(RuntimeError), _heartbeat.heartbeat("x"):
        raise RuntimeError
    assert threading.active_count() == before
