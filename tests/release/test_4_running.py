# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs: a current release that is dead, one that comes back while it drains, old ones that go."""

from __future__ import annotations

import base64
import os
import socket
import ssl

# A websocket through nginx, by hand: it must be open for as long as a test wants it.


def open_websocket(machine) -> ssl.SSLSocket:
    address = machine.run("hostname", "-I").split()[0]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = context.wrap_socket(socket.create_connection((address, 443), timeout=10), server_hostname="tiny.example")
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET /ws HTTP/1.1", "Host: tiny.example", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    sock.sendall("\r\n".join(lines).encode())
    assert b" 101 " in sock.recv(4096)
    return sock


def echoes(sock: ssl.SSLSocket) -> bool:
    """Whether the other end still answers: a masked text frame with one letter."""
    sock.sendall(b"\x81\x81\x00\x00\x00\x00a")
    answer = b""
    while len(answer) < 3 and (part := sock.recv(3 - len(answer))):
        answer += part
    return answer == b"\x81\x01a"


def test_a_current_release_that_was_stopped_is_started_again(machine, good):
    machine.shell(f"systemctl stop tiny@{good.release}")
    assert machine.answer()["status"] == 502
    assert machine.play("--check").changed > 0
    play = machine.play()
    assert play.changed == 2 and machine.serves("good")
    machine.whole(good.release)
    assert machine.play().changed == 0


def test_a_current_release_that_died_is_started_again_by_systemd(machine, good):
    machine.shell(f"systemctl kill -s KILL tiny@{good.release}; sleep 4")
    end = 20
    while not machine.serves("good") and (end := end - 1):
        machine.shell("sleep 0.5")
    assert machine.play().changed == 0


def test_a_release_drains_until_its_last_connection_ends(machine, good, source):
    sock = open_websocket(machine)
    machine.variables = {"app_source": str(source("drained"))}
    machine.play()
    assert machine.serves("drained")
    machine.shell("sleep 3")
    assert echoes(sock) and good.release in machine.running()
    sock.close()
    machine.whole(machine.current())


def test_a_release_that_comes_back_while_it_drains_stays(machine, good, source):
    sock = open_websocket(machine)
    machine.variables = {"app_source": str(source("short"))}
    machine.play()
    assert machine.shell(f"systemctl is-active tiny-drain-{good.release}") == "active"
    machine.variables = {"app_source": str(source("good"))}
    assert machine.play().changed > 0
    assert machine.serves("good") and machine.current() == good.release
    assert machine.shell(f"systemctl is-active tiny-drain-{good.release}", check=False) == "inactive"
    assert echoes(sock)
    sock.close()
    machine.shell("sleep 3")
    assert machine.serves("good")
    machine.whole(good.release)


def test_old_releases_go_but_for_those_to_keep(machine, good, source):
    kept = []
    for mark in ("old 1", "old 2"):
        machine.variables = {"app_source": str(source(mark)), "app_keep_releases": 1}
        machine.play()
        kept.append(machine.current())
        machine.settled()
    # The one before stays in any case: it served a moment ago.
    assert {*machine.shell("ls /srv/tiny/releases").splitlines()} == {*kept}
    lines = machine.history()[-2:]
    assert [line["id"] for line in lines] == kept and [line["before"] for line in lines] == [good.release, kept[0]]
    assert {"action", "activated", "before", "built", "by", "id", "revision", "source", "version"} == {*lines[1]}


def test_an_app_without_nginx_on_its_host(machine, good):
    """The gate's user is part of every Debian; nobody is asked at the edge."""
    machine.shell("systemctl stop nginx")
    machine.play(app_name="alone", app_check_urls=[])
    alone = machine.current("alone")
    assert machine.running("alone") == [alone]
    said = machine.shell(
        "setpriv --reuid=www-data --regid=www-data --init-groups curl -s --unix-socket /srv/alone/current/run/app.sock http://x/health/ready"
    )
    assert f'"release":"{alone}"' in said
    machine.shell("systemctl start nginx")
    machine.shell("systemctl disable --quiet alone; systemctl stop 'alone@*'")


def test_a_second_app_serves_at_once_though_nginx_ran_before_its_group_was_made(machine, good):
    sites = [
        {"app": name, "domains": [f"{name}.example"], "upstream": f"unix:/srv/{name}/current/run/app.sock"}
        for name in ("tiny", "other")
    ]
    machine.play(book="nginx", nginx_sites=sites)
    machine.play(app_name="other", app_domain="other.example")
    assert machine.answer(domain="other.example")["mark"] == "good" and machine.serves("good")
