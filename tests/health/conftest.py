# SPDX-License-Identifier: GPL-3.0-or-later
"""One real host with the whole stack, set up by the collection's own playbook, and a way to break it.

ASGI_SUITE      bookworm (default) or trixie
ASGI_KEEP       keep the host for a look at it, and for a faster next run
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = "asgi-health-one"
CANARY = "canary"
VARIABLES = {
    "ansible_connection": "community.docker.docker",
    "ansible_docker_host": HOST,
    "ansible_python_interpreter": "/usr/bin/python3",
    "app_name": "shop",
    "app_source": str(ROOT / "examples" / "app"),
    "app_migrate_command": "alembic upgrade head",
    "app_workers": 2,
    "stack_domain": "shop.test",
    "stack_email": "admin@shop.test",
    "stack_postgres_password": "canaryPostgresPassword0123456789",
    "stack_postgres_owner_password": "canaryPostgresOwner0123456789abc",
    "stack_redis_password": "canaryRedisPassword0123456789abc",
    "app_secret_key": "canaryAppSecretKey0123456789abcd",
}


class Host:
    """The host. ``sh`` runs a shell line on it, ``ask`` a module, ``play`` a playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.table = folder, []
        self.inventory = folder / "hosts.json"
        groups = {name: {"hosts": {"one": {}}} for name in ("web", "app", "postgres", "redis", "memcached")}
        self.inventory.write_text(json.dumps({"all": {"children": groups, "vars": VARIABLES}}))
        self.env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1")
        self.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def sh(self, line: str) -> str:
        argv = ["docker", "exec", HOST, "bash", "-c", line]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout + done.stderr

    def play(self, book: str, *options: str) -> tuple[int, str]:
        argv = ["ansible-playbook", "-i", str(self.inventory), str(ROOT / book), *options]
        done = subprocess.run(argv, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def ask(self, module: str, **arguments: t.Any) -> dict:
        """Run a health module with -vvv; no secret may be in what it says."""
        argv = ["ansible", "-vvv", "-b", "-i", str(self.inventory), "one", "-m", f"asgi.production.{module}"]
        tree = self.folder / "tree"
        argv += ["-a", json.dumps({"fail_on": "never", **arguments}), "--tree", str(tree)]
        done = subprocess.run(argv, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False)
        said = (tree / "one").read_text()
        shown = (done.stdout + done.stderr).replace(json.dumps(arguments), "")
        assert CANARY not in shown, shown
        return json.loads(said)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    tool, keep = str(ROOT / "tools" / "testbed" / "host"), os.environ.get("ASGI_KEEP")
    suite = os.environ.get("ASGI_SUITE", "bookworm")
    if not keep:
        subprocess.run([tool, "down", "health"], check=True, stdout=subprocess.DEVNULL)
    up = [tool, "up", HOST, "--scenario", "health", "--hostname", "one", "--image", suite]
    subprocess.run(up, check=True, stdout=subprocess.DEVNULL)
    found = Host(tmp_path_factory.mktemp("health"))
    code, said = found.play("site.yml")
    assert code == 0, said[-4000:]
    yield found
    if not keep:
        subprocess.run([tool, "down", "health"], check=True, stdout=subprocess.DEVNULL)
