# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A view of the file system that one child process has for itself. Private to this collection."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import traceback
import typing as t

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x00020000, 0x4000, 0x40000


class UnsupportedError(Exception):
    """The kernel does not let us have a private mount namespace."""


def in_private_view(run: str, paths: list[str], change: t.Callable, then: t.Callable) -> tuple[int, str]:
    """Call ``change`` and ``then`` in a child that alone sees what becomes of ``paths``; return the answer of ``then``.

    ``run`` is a folder on a tmpfs for the mount point. Raises UnsupportedError, or RuntimeError with the child's words.
    """
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            with os.fdopen(send, "w", encoding="utf-8") as stream:
                json.dump(answer(run, paths, change, then), stream)
        finally:  # whatever happens, the child never goes on with the parent's work
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, encoding="utf-8") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    kind, code, words = json.loads(said) if said else ("failed", 1, "the child of the check was killed")
    if kind == "unsupported":
        raise UnsupportedError(words)
    if kind == "failed":
        raise RuntimeError(words)
    return code, words


def answer(run: str, paths: list[str], change: t.Callable, then: t.Callable) -> tuple[str, int, str]:
    """What the child has to say: unsupported, failed or ran; a code; words."""
    try:
        overlay(run, paths, ctypes.CDLL(None, use_errno=True))
    except OSError as error:
        return "unsupported", 1, f"this kernel allows no private mounts ({error.strerror})"
    try:
        change()
        return ("ran", *then())
    except Exception:  # it must reach the parent, whatever it is
        return "failed", 1, traceback.format_exc()


def overlay(run: str, paths: list[str], libc: t.Any) -> None:
    """Lay a copy-on-write view over each folder that will change; what is written there ends with the child."""
    base = f"{run}/asgi-production.check"
    os.makedirs(base, 0o700, exist_ok=True)
    must(libc.unshare(CLONE_NEWNS))
    must(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    must(libc.mount(b"tmpfs", base.encode(), b"tmpfs", 0, b"mode=0700"))
    done: list[str] = []
    for folder in sorted({existing_folder(path) for path in paths}):
        if any(folder == seen or folder.startswith(seen + "/") for seen in done):
            continue
        upper, work = f"{base}/{len(done)}.upper", f"{base}/{len(done)}.work"
        os.mkdir(upper)
        os.mkdir(work)
        shutil.copystat(folder, upper)
        os.chown(upper, os.stat(folder).st_uid, os.stat(folder).st_gid)
        options = f"lowerdir={folder},upperdir={upper},workdir={work}"
        must(libc.mount(b"overlay", folder.encode(), b"overlay", 0, options.encode()))
        done.append(folder)


def must(result: int) -> None:
    """Turn a failed call of libc into an OSError."""
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def existing_folder(path: str) -> str:
    """The nearest folder above path that is there, with links followed."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return os.path.realpath(folder)
