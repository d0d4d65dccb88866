# SPDX-License-Identifier: GPL-3.0-or-later
"""The child that has a view of its own: with a libc that only writes down what it is asked for."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _namespace as module


class Libc:
    """Fails at the call with this number; 0 never fails."""

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.calls = fails, []

    def _call(self, *args: t.Any) -> int:
        self.calls.append(args)
        if len(self.calls) != self.fails:
            return 0
        ctypes.set_errno(errno.EPERM)
        return -1

    def unshare(self, *args: t.Any) -> int:
        return self._call("unshare", *args)

    def mount(self, *args: t.Any) -> int:
        return self._call("mount", *args)


def test_each_folder_gets_one_view_and_inner_ones_none(tmp_path: Path) -> None:
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    (tmp_path / "a").chmod(0o750)
    (tmp_path / "link").symlink_to("a")
    libc = Libc()
    names = ("a/x", "a/inner/x", "a/none/deep/x", "ab/x", "link/x")
    module.overlay(str(tmp_path), [str(tmp_path / name) for name in names], libc)
    base = f"{tmp_path}/asgi-production.check"
    assert libc.calls[:3] == [
        ("unshare", module.CLONE_NEWNS),
        ("mount", b"none", b"/", None, module.MS_REC | module.MS_PRIVATE, None),
        ("mount", b"tmpfs", base.encode(), b"tmpfs", 0, b"mode=0700"),
    ]
    assert [call[2].decode() for call in libc.calls[3:]] == [f"{tmp_path}/a", f"{tmp_path}/ab"]
    assert libc.calls[3][5].decode() == f"lowerdir={tmp_path}/a,upperdir={base}/0.upper,workdir={base}/0.work"
    assert oct(os.stat(f"{base}/0.upper").st_mode) == "0o40750"


@pytest.mark.parametrize("fails", [1, 2, 3, 4])
def test_a_kernel_that_refuses_is_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int) -> None:
    monkeypatch.setattr(module.ctypes, "CDLL", lambda name, use_errno: Libc(fails))
    said = module.answer(str(tmp_path), [str(tmp_path / "x")], pytest.fail, pytest.fail)
    assert said == ("unsupported", 1, "this kernel allows no private mounts (Operation not permitted)")


def test_the_answer_is_that_of_the_check_or_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.ctypes, "CDLL", lambda name, use_errno: Libc())
    done = []
    assert module.answer(str(tmp_path), [], lambda: done.append("change"), lambda: (2, "words")) == ("ran", 2, "words")
    assert done == ["change"]
    kind, code, words = module.answer(str(tmp_path), [], lambda: 1 / 0, pytest.fail)
    assert (kind, code, words.splitlines()[-1]) == ("failed", 1, "ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (("ran", 3, "words"), None, "words"),
        (("unsupported", 1, "no mounts"), module.UnsupportedError, "no mounts"),
        (("failed", 1, "a trace"), RuntimeError, "a trace"),
        (None, RuntimeError, "the child of the check was killed"),
    ],
)
def test_the_parent_hears_its_child(
    monkeypatch: pytest.MonkeyPatch, answer: t.Optional[tuple], error: t.Optional[type[Exception]], words: str
) -> None:
    def child(*_args: object) -> tuple:
        if answer is None:
            os._exit(9)
        return answer

    monkeypatch.setattr(module, "answer", child)
    if error is None:
        assert module.in_private_view("/run", [], list, list) == (3, words)
        return
    with pytest.raises(error, match=words):
        module.in_private_view("/run", [], list, list)


class ExitedError(BaseException):
    """What os._exit is here."""


@pytest.mark.parametrize("fault", [None, KeyboardInterrupt])
def test_the_child_answers_and_never_goes_on(monkeypatch: pytest.MonkeyPatch, fault: t.Optional[type]) -> None:
    receive, send = os.pipe()
    codes = []

    def leave(code: int) -> t.NoReturn:
        codes.append(code)
        raise ExitedError

    def answer(*_args: object) -> tuple[str, int, str]:
        if fault:
            raise fault
        return "ran", 0, "words"

    monkeypatch.setattr(module.os, "pipe", lambda: (os.dup(receive), send))
    monkeypatch.setattr(module.os, "fork", lambda: 0)
    monkeypatch.setattr(module.os, "_exit", leave)
    monkeypatch.setattr(module, "answer", answer)
    with pytest.raises(ExitedError):
        module.in_private_view("/run", [], list, list)
    with os.fdopen(receive, encoding="utf-8") as stream:
        said = stream.read()
    assert codes == [0]
    assert said == "" if fault else json.loads(said) == ["ran", 0, "words"]
