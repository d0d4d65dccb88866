# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sign of life while something slow runs on a host. Private to this collection."""

from __future__ import annotations

import contextlib
import threading
import typing as t

from ansible.utils.display import Display


@contextlib.contextmanager
def heartbeat(line: str, every: float = 10) -> t.Iterator[None]:
    """Print a line every so many seconds, until the block ends."""
    done = threading.Event()

    def beat() -> None:
        seconds = 0.0
        while not done.wait(every):
            seconds += every
            Display().display(f"{line} ({seconds:g} s)")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
