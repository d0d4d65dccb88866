# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first deploys of a host, and what they cost. The files of this folder run in the order of their names."""

from __future__ import annotations

FAILS_AT_IMPORT = """
    import os
    from fastapi import FastAPI
    app = FastAPI()
    print("the app prints", os.environ["SECRET_KEY"], os.environ["DATABASE_URL"], os.environ["PEM"])
    raise RuntimeError(f"no luck with {os.environ['SECRET_KEY']} and {os.environ['REDIS_URL']}")
    """


def test_check_mode_on_a_bare_host_says_that_all_of_it_would_change(machine, source):
    machine.variables = {"app_source": str(source("good"))}
    assert machine.play("--check").changed == 3
    assert machine.run("ls", "/srv") == ""


def test_a_first_deploy_that_fails_leaves_nothing_that_serves(machine, source, figure):
    machine.play(book="nginx")
    machine.variables = {"app_source": str(source("broken", FAILS_AT_IMPORT))}
    play = machine.play(fails=True)
    figure(
        f"first build, with uv itself: {play.task('Build the release'):.1f} s; its failed start: "
        f"{play.task('Let the release serve'):.1f} s"
    )
    assert "did not become ready: its main process has ended. No release serves yet" in play.failure
    assert "RuntimeError: no luck with ******** and ********" in play.failure
    assert play.task("Let the release serve") < 25
    assert machine.current() == "" and machine.running() == [] and machine.history() == []


def test_the_first_deploy_serves_through_nginx_at_once(machine, source, figure):
    machine.variables = {"app_source": str(source("good"))}
    play = machine.play()
    assert machine.serves("good")
    machine.whole(machine.current())
    figure(
        f"a build after one that failed: {play.task('Build the release'):.1f} s, play {play.seconds:.1f} s, "
        f"{play.module_runs} module runs"
    )
    assert len(machine.shell("ls /srv/tiny/releases").splitlines()) == 1


def test_the_second_run_changes_nothing(machine, good, figure):
    play = machine.play()
    figure(f"a run that changes nothing: {play.seconds:.1f} s, {play.module_runs} module runs (one for facts)")
    assert play.changed == 0
    assert play.module_runs == 3
    assert machine.current() == good.release


def test_a_setting_is_a_release_of_the_same_source(machine, good, figure):
    play = machine.play(app_workers=3)
    figure(
        f"a changed setting: build {play.task('Build the release'):.1f} s, switch "
        f"{play.task('Let the release serve'):.1f} s, play {play.seconds:.1f} s, {play.module_runs} module runs"
    )
    release = machine.current()
    assert release != good.release and release.endswith(good.release.rpartition(".")[2])
    machine.whole(release)
    assert len(machine.shell(f"pgrep -f 'releases/{release}/venv/bin/gunicorn'").splitlines()) == 4
    assert machine.history()[-1]["before"] == good.release


def test_code_alone_is_built_from_the_cache(machine, serving, source, figure):
    machine.variables = {"app_source": str(source("newer"))}
    play = machine.play()
    figure(
        f"new code, same dependencies: build {play.task('Build the release'):.1f} s, switch "
        f"{play.task('Let the release serve'):.1f} s, play {play.seconds:.1f} s, {play.module_runs} module runs"
    )
    assert machine.serves("newer")
    machine.whole(machine.current())
    links = machine.shell("stat -c %h /srv/tiny/current/venv/lib/python3*/site-packages/fastapi/routing.py")
    assert int(links) > 2, "packages should be hard links to the cache"


def test_check_mode_announces_a_new_release_and_makes_none(machine, serving, source):
    machine.variables = {"app_source": str(source("announced"))}
    before = machine.shell("find /srv/tiny | sort | sha256sum")
    assert machine.play("--check").changed == 2
    assert machine.shell("find /srv/tiny | sort | sha256sum") == before
    assert machine.serves(serving.mark)
