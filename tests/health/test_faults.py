# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing at a time on a real host, and read what the modules say of it."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

POSTGRES = {"unix_socket": "/run/postgresql", "os_user": "postgres", "timeout": 5}
SHOP = {"unix_socket": "/run/postgresql", "user": "shop", "database": "shop", "timeout": 5}
PASSWORD = "canaryPostgresPassword0123456789"
REDIS = {"unix_socket": "/run/redis/redis-server.sock", "user": "app", "timeout": 5}
REDIS["password"] = "canaryRedisPassword0123456789abc"
MEMCACHED: dict[str, t.Any] = {"timeout": 1}
NGINX = {"ports": [80, 443], "upstreams": ["unix:/srv/shop/current/run/app.sock"], "timeout": 5}
TLS = {"server_name": "shop.test", "untrusted": "ok", "file": "/etc/ssl/certs/ssl-cert-snakeoil.pem", "timeout": 5}
APP = {"url": "https://shop.test/health/ready", "address": "127.0.0.1", "validate_certs": False, "timeout": 10}
APP.update(websocket_path="/ws", events_path="/events")
UNITS = {"units": ["nginx", "redis-server", "memcached", "postgresql@*", "shop@*"], "timeout": 5}
HOST = {"clock": False, "updates_degraded": -1, "load_degraded": -1, "cpu_pressure_degraded": -1}
HOST.update(memory_degraded=-1, io_pressure_degraded=-1, disk_degraded=-1, disk_failed=100)

GOOD = {
    "postgres_health": POSTGRES,
    "redis_health": REDIS,
    "memcached_health": MEMCACHED,
    "nginx_health": NGINX,
    "tls_health": TLS,
    "asgi_health": APP,
    "systemd_health": UNITS,
    "host_health": HOST,
}

FILL = """
slots=$(runuser -u postgres -- psql -tAc "select current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int")
for _ in $(seq "$slots"); do
  setsid sh -c "(echo 'begin;'; sleep 25) | runuser -u postgres -- psql -q postgres" >/dev/null 2>&1 &
done
for _ in $(seq 50); do
  used=$(runuser -u postgres -- psql -tAc "select count(*) from pg_stat_activity where state = 'idle in transaction'")
  [ "$used" -ge "$((slots - 5))" ] && break
  sleep 0.2
done
"""
EMPTY = (
    "runuser -u postgres -- psql -qc "
    "\"select pg_terminate_backend(pid) from pg_stat_activity where state like 'idle in%'\""
)
READ_ONLY = (
    "runuser -u postgres -- psql -qc 'alter system set default_transaction_read_only = {}' -c 'select pg_reload_conf()'"
)
CERTIFICATE = """
cd /etc/ssl && cp -a certs/ssl-cert-snakeoil.pem private/ssl-cert-snakeoil.key /root/
openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=shop.test -addext subjectAltName=DNS:shop.test \
  -keyout private/ssl-cert-snakeoil.key -out certs/ssl-cert-snakeoil.pem 2>/dev/null
"""
OLD_CERTIFICATE = (
    "cp -a /root/ssl-cert-snakeoil.pem /etc/ssl/certs/; cp -a /root/ssl-cert-snakeoil.key /etc/ssl/private/;"
    " systemctl reload nginx; sleep 1"
)


class Fault(t.NamedTuple):
    name: str
    breaks: str
    repairs: str
    module: str
    arguments: dict
    status: str
    words: str


CLUSTER = "postgresql@$(ls /etc/postgresql)-main"
FAULTS = [
    Fault(
        "PostgreSQL stopped",
        f"systemctl stop {CLUSTER}",
        f"systemctl start {CLUSTER}",
        "postgres_health",
        POSTGRES,
        "failed",
        "its socket is not there",
    ),
    Fault(
        "wrong password",
        ":",
        ":",
        "postgres_health",
        {**SHOP, "password": "canaryWrong"},
        "failed",
        "it refuses the password of shop",
    ),
    Fault(
        "no such database",
        ":",
        ":",
        "postgres_health",
        {**POSTGRES, "database": "none"},
        "failed",
        "it has no database none",
    ),
    Fault("all connections in use", FILL, EMPTY, "postgres_health", POSTGRES, "failed", "it refuses connections: "),
    Fault(
        "read-only",
        READ_ONLY.format("on"),
        "export PGOPTIONS='-c default_transaction_read_only=off'; runuser -u postgres -- psql -qc "
        "'alter system reset default_transaction_read_only' -c 'select pg_reload_conf()'",
        "postgres_health",
        POSTGRES,
        "failed",
        "it accepts no changes: default_transaction_read_only is on",
    ),
    Fault(
        "Redis stopped",
        "systemctl stop redis-server",
        "systemctl start redis-server",
        "redis_health",
        REDIS,
        "failed",
        "its socket is not there",
    ),
    Fault(
        "Redis frozen",
        "systemctl kill -s STOP redis-server",
        "systemctl kill -s CONT redis-server",
        "redis_health",
        {**REDIS, "timeout": 1},
        "failed",
        "it does not answer within 1 s",
    ),
    Fault(
        "wrong password of Redis",
        ":",
        ":",
        "redis_health",
        {**REDIS, "password": "canaryWrong"},
        "failed",
        "it refuses the password",
    ),
    Fault(
        "Memcached stopped",
        "systemctl stop memcached",
        "systemctl start memcached",
        "memcached_health",
        MEMCACHED,
        "failed",
        "nothing listens there",
    ),
    Fault(
        "Memcached frozen",
        "systemctl kill -s STOP memcached",
        "systemctl kill -s CONT memcached",
        "memcached_health",
        MEMCACHED,
        "failed",
        "it does not answer within 1 s",
    ),
    Fault(
        "nginx stopped",
        "systemctl stop nginx",
        "systemctl start nginx",
        "nginx_health",
        NGINX,
        "failed",
        "it does not run",
    ),
    Fault(
        "nginx's configuration broken",
        "echo 'nonsense;' >/etc/nginx/conf.d/broken.conf",
        "rm /etc/nginx/conf.d/broken.conf",
        "nginx_health",
        NGINX,
        "failed",
        "unknown directive",
    ),
    Fault(
        "a socket that nginx can't open",
        "chmod 700 /run/shop/*/",
        "chmod 750 /run/shop/*/",
        "nginx_health",
        NGINX,
        "failed",
        "can't be reached by www-data: its socket must not be opened by this user",
    ),
    Fault(
        "certificate near its end",
        f"{CERTIFICATE} systemctl reload nginx; sleep 1",
        OLD_CERTIFICATE,
        "tls_health",
        TLS,
        "failed",
        "its certificate expires in 5 days",
    ),
    Fault("renewed and not read", CERTIFICATE, OLD_CERTIFICATE, "tls_health", TLS, "degraded", "reload the server"),
    Fault(
        "the app without Redis",
        "systemctl stop redis-server",
        "systemctl start redis-server",
        "asgi_health",
        APP,
        "failed",
        "it answers 503",
    ),
    Fault("another version", ":", ":", "asgi_health", {**APP, "version": "v9"}, "failed", "instead of v9"),
    Fault(
        "a unit that ends again and again",
        "systemctl stop redis-server; systemd-run -q --unit=flap -p Restart=always -p RestartSec=3 "
        "-p StartLimitIntervalSec=0 false; systemctl start redis-server; sleep 1",
        "systemctl stop flap; systemctl reset-failed",
        "systemd_health",
        {"units": ["flap"]},
        "failed",
        "flap.service ends again and again",
    ),
    Fault(
        "a unit that failed",
        "systemd-run -q --unit=broken false; sleep 0.5",
        "systemctl reset-failed",
        "systemd_health",
        UNITS,
        "degraded",
        "broken.service has failed",
    ),
    Fault("disk nearly full", ":", ":", "host_health", {**HOST, "disk_failed": 0.1}, "failed", "the disk of / is"),
    Fault(
        "a reboot is needed",
        "echo libc6 >/run/reboot-required.pkgs; touch /run/reboot-required",
        "rm /run/reboot-required*",
        "host_health",
        HOST,
        "degraded",
        "a reboot is needed for libc6",
    ),
]
TABLE: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def table(capfd_disabled: t.Callable[[str], None]) -> t.Iterator[None]:
    yield
    capfd_disabled("\n\n" + "\n".join(TABLE) + "\n")


@pytest.fixture(scope="module")
def capfd_disabled(request: pytest.FixtureRequest) -> t.Callable[[str], None]:
    """Print also when the tests pass."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, flush=True)

    return show


@pytest.mark.parametrize("module", GOOD)
def test_a_whole_host_is_ok(host, module: str):
    said = host.ask(module, **GOOD[module])
    assert said["status"] == "ok", said["msg"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named_and_gone_after_the_repair(host, fault: Fault):
    host.sh(fault.breaks)
    began = time.monotonic()
    try:
        said = host.ask(fault.module, **fault.arguments)
    finally:
        repaired = host.sh(fault.repairs)
    TABLE.append(f"{fault.name:34} {said['status']:8} {time.monotonic() - began:4.1f} s  {said['msg']}")
    assert (said["status"], fault.words in said["msg"]) == (fault.status, True), said["msg"]
    again = GOOD[fault.module]
    end = time.monotonic() + 15
    while (said := host.ask(fault.module, **again))["status"] != "ok" and time.monotonic() < end:
        time.sleep(0.5)
    assert said["status"] == "ok", f"{said['msg']}\n{repaired}"


def test_the_table_of_all_parts(host, tmp_path: Path):
    """The exit code tells, and no secret is anywhere."""
    file = tmp_path / "status.json"
    code, text = host.play("playbooks/status.yml", "-e", "status_format=json", "-e", f"status_file={file}")
    parts = {part["part"]: part["status"] for part in json.loads(file.read_text())["parts"]}
    assert (code, "failed" in parts.values(), len(parts)) == (0, False, 8), text
    host.sh("systemctl stop memcached")
    try:
        code, text = host.play("playbooks/status.yml", "-vvv")
    finally:
        host.sh("systemctl start memcached")
    assert code != 0
    assert "Memcached on one fails: nothing listens there" in text
    assert "canary" not in text
    code, _text = host.play(
        "playbooks/status.yml", "-e", "status_format=html", "-e", f"status_file={tmp_path}/page.html"
    )
    assert code == 0
    assert "canary" not in (tmp_path / "page.html").read_text()
