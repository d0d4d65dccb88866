# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that must not serve. After each of them the release before serves as if nothing had been tried."""

from __future__ import annotations

import pytest

STARTS_NEVER = """
    import os

    from fastapi import FastAPI

    print("printed at import")
    {at_import}

    async def lifespan(app):
        print("printed at start")
        {at_start}
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/ready")
    def ready():
        {when_asked}
    """


def code(at_import="", at_start="pass", when_asked="return {}"):
    return STARTS_NEVER.format(at_import=at_import, at_start=at_start, when_asked=when_asked)


BAD = {
    # name: (code, variables, sentence, last log line, most seconds of its start)
    "raises at import": (
        code('raise RuntimeError("no such luck")'),
        {},
        "its main process has ended",
        "RuntimeError: no such luck",
        15,
    ),
    "raises at start": (
        code(at_start='raise RuntimeError("no database at " + os.environ["DATABASE_URL"])'),
        {},
        "its main process has ended",
        "RuntimeError: no database at ********",
        15,
    ),
    "never ready": (
        code(when_asked='from fastapi import HTTPException; raise HTTPException(503, "no database yet")'),
        {"app_start_timeout_seconds": 5},
        "app_readiness_path (/health/ready) did not answer 200 within app_start_timeout_seconds (5); the last answer "
        'was: {"detail":"no database yet"} 503',
        "printed at start",
        15,
    ),
    "no such path": (
        code(),
        {"app_readiness_path": "/healthz"},
        "app_readiness_path is /healthz, where the app answers 404; name a path that answers 200",
        "printed at start",
        15,
    ),
    "silent": (
        code(at_start="import asyncio; await asyncio.sleep(60)"),
        {"app_start_timeout_seconds": 4, "app_stop_timeout_seconds": 2},
        "app_readiness_path (/health/ready) did not answer 200 within app_start_timeout_seconds (4); the last answer",
        "printed at start",
        15,
    ),
    "server refuses its arguments": (
        code(),
        {"app_gunicorn_arguments": ["--no-such-option='a'$c"]},
        "its main process has ended",
        "unrecognized arguments: --no-such-option='a'$c",
        15,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_release_that_does_not_start_is_named_with_its_last_words(machine, serving, source, name):
    text, variables, sentence, words, seconds = BAD[name]
    history = machine.history()
    machine.variables = {"app_source": str(source(name, text)), **variables}
    play = machine.play(fails=True)
    assert f"did not become ready: {sentence}" in play.failure.replace("\\n", "\n")
    assert words in play.failure
    assert f"Release {serving.release} goes on serving" in play.failure
    assert play.task("Let the release serve") < seconds
    assert machine.serves(serving.mark) and machine.history() == history
    machine.whole(serving.release)


def test_what_worked_before_serves_after_a_restart_of_the_host(machine, serving):
    """Also with the unit, the drop-ins and the settings that the failures above have left on the host."""
    machine.restart()
    end = 20
    while not machine.serves(serving.mark) and (end := end - 1):
        machine.shell("sleep 1")
    machine.whole(serving.release)


def test_a_release_that_fails_behind_nginx_is_taken_back(machine, serving, source):
    machine.variables = {"app_source": str(source("edgeless"))}
    machine.variables["app_check_urls"] = ["https://tiny.example/health/ready", "https://tiny.example/nowhere"]
    play = machine.play(fails=True)
    assert "was ready, but https://tiny.example/nowhere answers 404 through nginx. It was taken back" in play.failure
    assert f"Release {serving.release} goes on serving" in play.failure
    machine.whole(serving.release)
    assert machine.serves(
        serving.mark
    )  # asked now, because nginx may hold a connection to the other one for two seconds


MIGRATION = "echo $((20 + 1)) ${DATABASE_URL##*:} `id -un` $(pwd | cut -d/ -f5) $APP_VERSION"


def test_a_migration_that_fails_stops_the_deploy(machine, serving, source):
    machine.variables = {"app_source": str(source("unmigrated")), "app_migrate_command": f"{MIGRATION}; exit 3"}
    play = machine.play(fails=True)
    assert f"exit 3 failed. Release {serving.release} goes on serving" in play.failure
    assert "21 ********@192.0.2.7/tiny tiny " in play.failure
    assert machine.serves(serving.mark)
    machine.whole(serving.release)


def test_a_migration_that_does_not_end_is_ended(machine, serving, source):
    machine.variables = {"app_source": str(source("slow")), "app_migrate_command": "sleep 600"}
    play = machine.play(fails=True, app_migrate_timeout_seconds=2)
    assert "did not end within app_migrate_timeout_seconds (2)" in play.failure
    machine.whole(serving.release)


def test_a_migration_runs_before_the_switch_as_the_databases_owner(machine, serving, source):
    told = "echo owner=$DATABASE_URL token=$API_TOKEN serves=$(readlink /srv/tiny/current)"
    machine.variables = {"app_source": str(source("migrated")), "app_migrate_command": told}
    play = machine.play()
    assert machine.serves("migrated")
    said = machine.run("journalctl", "-t", "tiny-migrate", "-o", "cat", "-n", "1", "--no-pager")
    assert "owner=postgresql://tiny_owner:canary-owner-aa02@" in said and "token=canary-token-77e0c1" in said
    assert said.endswith(f"serves=releases/{serving.release}")
    assert play.changed == 3


def test_a_failed_release_is_built_anew_once_its_trouble_is_over(machine, serving, source):
    machine.shell("mkdir /var/lib/trouble")
    text = code(
        'import pathlib; assert not pathlib.Path("/var/lib/trouble").exists()', when_asked='return {"mark": MARK}'
    )
    machine.variables = {"app_source": str(source("healed", text))}
    assert "AssertionError" in machine.play(fails=True).failure
    failed = machine.shell("ls -t /srv/tiny/releases | head -1")
    assert machine.shell(f"test -e /srv/tiny/releases/{failed}/.complete && echo eligible", check=False) == ""
    machine.run("rmdir", "/var/lib/trouble")
    machine.play()
    assert machine.serves("healed") and machine.current() != failed
    assert failed not in machine.shell("ls /srv/tiny/releases").splitlines()
