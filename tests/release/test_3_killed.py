# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys that are killed on the host. The next run finishes, the one after finds nothing to do."""

from __future__ import annotations

import json

import pytest

# Appended to the module that runs on the host, for one run.
DIES = """
    import os as _os, signal as _signal

    def _die_{when}(name):
        kept = getattr(Releases, name)

        def dies(self, *arguments, **options):
            if "{when}" == "after":
                kept(self, *arguments, **options)
            _os.kill(_os.getpid(), _signal.SIGKILL)

        setattr(Releases, name, dies)

    _die_{when}("{step}")
    """
# In the middle of the installation: uv lives on without the run that started it.
ORPHANS = """
    import os as _os, signal as _signal, subprocess as _subprocess

    def _orphan(self, argv, **options):
        if argv[1:3] == ["pip", "install"]:
            slow = ["/bin/sh", "-c", 'touch "$0/orphan"; sleep 4; touch "$0/orphan.done"', argv[5].split("/bin/")[0]]
            _subprocess.Popen(slow, pass_fds=self.held, **{k: v for k, v in options.items() if k != "timeout"})
            _os.kill(_os.getpid(), _signal.SIGKILL)
        return run(argv, pass_fds=self.held, **options)

    Builder.run = _orphan
    """
STEPS = [("after", "start"), ("after", "flip"), ("after", "drain"), ("after", "record")]


def mark_of_the_host(machine) -> dict:
    return json.loads(machine.run("cat", "/srv/tiny/.activating"))


@pytest.mark.parametrize(("when", "step"), STEPS, ids=lambda word: word)
def test_an_activation_that_is_killed_is_finished(machine, serving, source, when, step):
    mark = f"killed {when} {step}"
    machine.variables = {"app_source": str(source(mark))}
    killed = machine.overlay(f"{when}-{step}", "_release.py", DIES.format(when=when, step=step))
    machine.play(collections=killed, fails=True)
    assert mark_of_the_host(machine)["before"] == serving.release, "it was not killed"
    flipped = step != "start"
    assert machine.serves(mark if flipped else serving.mark)
    assert machine.play().changed > 0
    assert machine.serves(mark)
    release = machine.current()
    machine.whole(release)
    recorded = [(line["before"], line["id"]) for line in machine.history()]
    assert recorded[-1] == (serving.release, release) and recorded.count(recorded[-1]) == 1
    if step == "flip":
        assert machine.play().changed == 0


def test_what_a_killed_run_has_flipped_to_is_drained_when_another_release_follows(machine, serving, source):
    machine.variables = {"app_source": str(source("first"))}
    killed = machine.overlay("flipped", "_release.py", DIES.format(when="after", step="flip"))
    machine.play(collections=killed, fails=True)
    first = machine.current()
    assert {*machine.running()} == {serving.release, first}
    machine.variables = {"app_source": str(source("second"))}
    machine.play()
    assert machine.serves("second")
    machine.whole(machine.current())
    assert [line["id"] for line in machine.history()][-3:] == [serving.release, first, machine.current()]


def test_a_build_that_is_killed_is_made_anew_after_its_last_program_has_ended(machine, serving, source):
    machine.variables = {"app_source": str(source("rebuilt"))}
    killed = machine.overlay("orphans", "_build.py", ORPHANS)
    machine.play(collections=killed, fails=True)
    half = machine.shell("ls -d /srv/tiny/releases/*/venv/orphan").split("/")[4]
    # uv still writes into the folder: had the next run removed it at once, the file would be made again or be missing.
    play = machine.play()
    assert play.task("Build the release") > 2, "it did not wait for the lock"
    assert machine.serves("rebuilt")
    assert half not in machine.shell("ls /srv/tiny/releases").splitlines()
    machine.whole(machine.current())
    assert machine.play().changed == 0


def test_a_run_waits_for_another_one(machine, serving, source):
    machine.variables = {"app_source": str(source("waited"))}
    machine.shell("systemd-run -q --unit=other flock /srv/tiny/.lock sleep 8")
    play = machine.play()
    assert play.task("Build the release") > 3
    assert machine.serves("waited")


def test_a_migration_of_a_killed_run_is_waited_for(machine, serving, source):
    machine.variables = {
        "app_source": str(source("migrated twice")),
        "app_migrate_command": "echo begins; sleep 0.5; echo ends",
    }
    machine.shell(
        "systemd-run -q --unit=tiny-migrate -p SyslogIdentifier=tiny-migrate sh -c 'sleep 12; echo the other ends'"
    )
    machine.play()
    said = machine.run("journalctl", "-t", "tiny-migrate", "-o", "cat", "-n", "3", "--no-pager").splitlines()
    assert said == ["the other ends", "begins", "ends"]
    assert machine.serves("migrated twice")
