# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each server: deploys and a rollback while clients ask, and not one request is lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from .conftest import Host, Load

SERVERS = {
    "gunicorn": {},
}
DRAIN = 8

# Stops every process of the release that serves as soon as the next one has opened its socket, and lets them go on two
# seconds after the flip. Says how many connections waited then.
STALL = r"""
old=$(readlink /srv/shop/current); old=${old##*/}
new() { ls /run/shop | grep -vxF "$before"; }
before=$(ls /run/shop)
until next=$(new) && [ -S "/run/shop/$next/app.sock" ]; do sleep 0.02; done
systemctl kill --signal=STOP "shop@$old"
while [ "$(readlink /srv/shop/current)" = "releases/$old" ]; do sleep 0.02; done
sleep 2
awk -v path="/run/shop/$old/app.sock" '$NF == path && $6 == "02"' /proc/net/unix | wc -l
systemctl kill --signal=CONT "shop@$old"
"""


@pytest.fixture(scope="module", params=SERVERS, autouse=True)
def server(request: pytest.FixtureRequest) -> str:
    return request.param


def stalled(host: Host) -> subprocess.Popen[str]:
    argv = ["docker", "exec", host.container, "bash", "-c", STALL]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_deploys_and_a_rollback_lose_no_request(
    host: Host, server: str, load: Callable[[], Load], figure: Callable[[str], None]
) -> None:
    settings, flips, plays = SERVERS[server], [], []
    with load() as clients:
        for number in range(3):
            plays.append(host.play("deploy", app_version=f"{server}.{number}", **settings))
            flips.append(host.flipped())
        stall = stalled(host)
        plays.append(host.play("deploy", app_version=f"{server}.stalled", **settings))
        flips.append(host.flipped())
        waited = int(stall.communicate(timeout=30)[0])
        rollback = host.play("rollback", app_check_urls=[])
        flips.append(host.flipped())
        # The last release's streams end as well.
        time.sleep(DRAIN + 4)
    figure(
        f"{server}: {clients.sent} requests sent, {len(clients.lost)} lost (sent/lost: {clients.by_kind()}); "
        f"longest gap between two answers {clients.gap():.2f} s, "
        f"p99 {clients.p99(True):.0f} ms before, {clients.p99(False):.0f} ms during"
    )
    figure(
        f"{server}: deploys {', '.join(f'{play.seconds:.1f}' for play in plays)} s "
        f"with {plays[1].module_runs} module runs, rollback {rollback.seconds:.1f} s with {rollback.module_runs}; "
        f"{waited} connections waited for stalled workers"
    )
    for kind in ("websocket", "events"):
        ends = [f"{how} {end - max(flip for flip in flips if flip < end):.1f} s" for end, how in clients.ended(kind)]
        figure(f"{server}: {kind}, after the flip: {', '.join(ends)}")
    assert clients.lost == []
    assert waited > 0
    # A stream is open as long as its release drains, and never refused.
    for kind in ("websocket", "events"):
        for end, how in clients.ended(kind):
            assert "refused" not in how
            assert min(abs(end - flip - DRAIN) for flip in flips) < 5, (kind, how, end, flips)
    assert max(play.module_runs for play in plays) <= 8
