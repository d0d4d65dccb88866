# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of a release on its way: migrate, gate, flip, check, drain; what fails there, and runs that are killed."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import tempfile
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _release
from ansible_collections.asgi.production.plugins.module_utils._build import Done, ReleaseError
from ansible_collections.asgi.production.plugins.module_utils._http import Answer

URLS = {"check_urls": ["https://shop.test/"], "check_port": 8443}


def refused(call, *args: object, **options: object) -> str:
    """Return the sentence with which it is refused."""
    with pytest.raises(ReleaseError) as error:
        call(*args, **options)
    return str(error.value)


@pytest.fixture
def nginx(host, monkeypatch: pytest.MonkeyPatch):
    """Return an nginx with `answers`, statuses or errors, the last one again and again; `asked` keeps the questions."""

    class Nginx:
        def __init__(self) -> None:
            self.answers: list = [200]
            self.asked: list = []
            self.pointers: list = []

        def get(self, url: str, **options: object) -> Answer:
            self.asked.append((url, options))
            self.pointers.append(host.serves())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if callable(answer):
                answer = answer()
            if isinstance(answer, BaseException):
                raise answer
            return Answer(answer, {}, b"")

    found = Nginx()
    monkeypatch.setattr(_release, "_http", found)
    return found


# -- all goes well


def test_the_first_release_serves(host):
    release = host.deploy()
    assert (host.serves(), host.units) == (release, {release: "active"})
    assert os.readlink(host.home / "current") == f"releases/{release}"
    (line,) = (host.home / "history.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["id"], entry["before"], entry["by"]) == (release, "", "ann")
    assert "fingerprint" not in entry
    assert not (host.home / ".activating").exists()


def test_another_release_takes_over_and_the_one_before_is_drained(host):
    first, second = host.deploy(), host.deploy("2222")
    assert (host.serves(), host.history()) == (second, [first, second])
    assert host.others == {f"shop-drain-{first}.service"}
    script = f"{host.root}/usr/local/lib/asgi-production/shop/drain {first}"
    assert any(line.startswith("systemd-run") and line.endswith(script) for line in host.asked)
    assert json.loads((host.home / "history.jsonl").read_text().splitlines()[1])["before"] == first


def test_a_release_starts_before_the_flip_and_the_one_before_stops_after_it(host):
    host.deploy()
    seen = []
    host.answers["systemctl start"] = lambda: (seen.append(host.serves()), Done(0, ""))[1]
    host.answers["-drain-"] = lambda: (seen.append(host.serves()), Done(1, ""))[1]
    first, second = host.serves(), host.deploy("2222")
    assert seen[:2] == [first, first]  # its own drain is stopped, then it starts
    assert set(seen[2:]) == {second}


def test_who_deploys_is_the_user_on_the_host_by_default(host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGNAME", "carol")
    host.deploy(by="")
    assert json.loads((host.home / "history.jsonl").read_text())["by"] == "carol"


def test_the_report_of_an_activation(host):
    first = host.deploy()
    release = host.releases(revision="local-2").perform("build", "")["release"]
    report = host.releases(revision="local-2").perform("activate", release)
    assert report == {"changed": True, "release": release, "before": first, "removed": []}


def test_check_mode_touches_nothing(host):
    release = host.releases().perform("build", "")["release"]
    asked = len(host.asked)
    for step in ("migrate", "activate"):
        assert host.releases().perform(step, release, check_mode=True) == {"changed": True, "release": release}
    assert (host.serves(), len(host.asked)) == ("", asked)


def test_old_releases_are_removed_but_never_one_that_runs(host):
    names = [host.deploy(f"{number}{number}") for number in range(5)]
    assert host.complete() == set(names)  # all of them still drain
    host.drained()
    names.append(host.deploy("99", keep=0))
    assert host.complete() == set(names[-2:])  # what serves and what drains
    assert set(os.listdir(host.home / "releases")) == host.complete()


def test_a_release_that_is_half_removed_is_none(host, monkeypatch: pytest.MonkeyPatch):
    first = host.deploy()
    host.drained()
    host.deploy("2222")
    host.drained()

    def fail(_path: str) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(_release, "shutil", SimpleNamespace(rmtree=fail))
    with pytest.raises(OSError, match="the disk is gone"):
        host.deploy("3333", keep=1)
    assert first in os.listdir(host.home / "releases")
    assert first not in host.complete()


def test_keep_is_how_many_complete_releases_stay(host):
    for number in range(5):
        host.deploy(f"{number}{number}", keep=3)
        host.drained()
    assert len(host.complete()) == 3


def test_what_is_drained_already_is_not_drained_twice(host):
    first, second = host.deploy(), host.deploy("2222")
    host.asked.clear()
    host.releases().drain(first)
    assert not any(line.startswith("systemd-run") for line in host.asked)
    assert host.units == {first: "active", second: "active"}


def test_what_was_left_starting_or_does_not_run_is_stopped_without_a_drain(host):
    host.deploy()
    host.units.clear()
    host.units["left"] = "activating"
    second = host.deploy("2222")
    assert (host.units, host.others) == ({second: "active"}, set())


def test_where_no_drain_can_be_started_it_is_stopped(host):
    host.deploy()
    host.answers["systemd-run"] = Done(1, "no")
    second = host.deploy("2222")
    assert host.units == {second: "active"}


def test_a_release_that_comes_back_while_it_drains_is_kept(host):
    first = host.deploy()
    host.deploy("2222")
    assert host.deploy() == first
    assert f"shop-drain-{first}.service" not in host.others
    assert host.serves() == first


# -- the lock


def test_a_deploy_waits_for_another_one(host):
    release = host.deploy()
    with open(host.home / ".lock") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        host.clock.on_sleep = lambda: fcntl.flock(stream, fcntl.LOCK_UN)
        assert host.releases().perform("build", "")["release"] == release


def test_a_deploy_that_waits_too_long_says_for_what(host):
    host.deploy()
    with open(host.home / ".lock") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        sentence = refused(host.releases(lock_timeout=5).perform, "build", "")
    assert sentence == (
        "shop is locked on this host: ann has been busy with the step activate of a deploy for 6 seconds; wait for it "
        f"and run again. 'fuser {host.home}/.lock' names its processes."
    )


def test_a_run_that_was_killed_is_told_from_one_that_is_alive(host):
    host.deploy()
    owner = json.loads((host.home / ".lock").read_text())
    (host.home / ".lock").write_text(json.dumps({**owner, "pid": 2**30}))
    with open(host.home / ".lock") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        sentence = refused(host.releases(lock_timeout=5).perform, "build", "")
    assert "the step activate of a deploy by ann was killed, and what it started 6 seconds ago still runs" in sentence


def test_programs_inherit_the_lock(host):
    host.deploy()
    assert all(len(options["pass_fds"]) == 1 for options in host.options)


@pytest.mark.parametrize("step", ["migrate", "activate"])
def test_a_release_that_is_not_there_is_not_activated(host, step: str):
    sentence = refused(host.releases().perform, step, "gone")
    assert sentence == "Release 'gone' is not on this host: another deploy has replaced it. Run again."


# -- migrate

MIGRATE = {
    "migrate_command": "alembic upgrade $TARGET",
    "migrate_environment": '{"DATABASE_URL": "postgresql://o:ownerpass@/d"}',
}


def test_a_migration_runs_from_the_new_release_before_it_starts(host):
    files = {}
    extra = host.root / "run/shop-migrate.env"

    def migrate() -> Done:
        files.update(text=extra.read_text(), mode=extra.stat().st_mode & 0o777)
        return Done(0, "")

    host.answers["shop-migrate "] = migrate
    release = host.deploy(**MIGRATE)
    (line,) = (line for line in host.asked if line.startswith("systemd-run"))
    assert line.endswith(" -- /bin/sh -c alembic upgrade $$TARGET")
    assert f"--property=WorkingDirectory={host.home}/releases/{release}/code" in line
    assert "--uid=shop --gid=shop" in line
    own, more = f"EnvironmentFile={host.home}/releases/{release}/environment", f"EnvironmentFile={extra}"
    assert f"--property={own} --property={more}" in line
    assert files == {"text": 'DATABASE_URL="postgresql://o:ownerpass@/d"\n', "mode": 0o600}
    assert not extra.exists()
    assert host.asked.index(line) < next(n for n, said in enumerate(host.asked) if said.startswith("systemctl start"))


def test_a_migration_that_fails_changes_nothing_for_what_serves(host):
    first, before = host.deploy(), host.picture()
    host.answers["systemd-run"] = Done(1, "")
    host.journal = "sqlalchemy: can't reach postgresql://o:ownerpass@/d with correct horse battery"
    sentence = refused(host.deploy, "2222", **MIGRATE)
    assert sentence == (
        f"alembic upgrade $TARGET failed. Release {first} goes on serving. It said:\n"
        "sqlalchemy: can't reach ******** with ********"
    )
    after = host.picture()
    assert after.pop("folders") == ["1111aaaa", "2222"]  # to be looked at
    assert after == {key: value for key, value in before.items() if key != "folders"}
    assert not (host.root / "run/shop-migrate.env").exists()
    host.answers.clear()
    assert host.deploy("2222", **MIGRATE) == host.serves()
    assert host.picture()["folders"] == ["1111aaaa", "2222"]


def test_a_migration_without_a_journal_is_told_by_what_was_said(host):
    host.answers["systemd-run"] = Done(1, "Failed to start")
    assert refused(host.deploy, **MIGRATE).endswith("failed. No release serves yet. It said:\nFailed to start")


def test_a_migration_that_takes_too_long_is_told_apart(host):
    def slow() -> Done:
        host.clock.now += 7
        return Done(1, "")

    host.answers["systemd-run"] = slow
    sentence = refused(host.deploy, migrate_timeout=5, **MIGRATE)
    assert "alembic upgrade $TARGET did not end within app_migrate_timeout_seconds (5)." in sentence


def test_a_migration_waits_for_one_of_a_run_that_was_killed(host):
    host.others.add("shop-migrate")
    host.clock.on_sleep = host.others.clear
    assert host.deploy(**MIGRATE)


def test_a_migration_does_not_wait_for_ever(host):
    host.others.add("shop-migrate")
    sentence = refused(host.deploy, migrate_timeout=5, **MIGRATE)
    assert sentence == "An earlier migration still runs: 'journalctl -u shop-migrate' on the host shows it."


# -- a release that does not become ready


def test_the_first_release_that_is_not_ready_leaves_nothing_running(host):
    host.refused.add("*")
    host.journal = "starting\nnot ready: it answers 503\nnot ready: the database is away\n"
    sentence = refused(host.deploy)
    release = os.listdir(host.home / "releases")[0]
    assert sentence == (
        f"Release {release} did not become ready: the database is away. No release serves yet. It said:\n"
        "starting\nnot ready: it answers 503\nnot ready: the database is away"
    )
    assert (host.units, host.serves(), host.complete(), host.history()) == ({}, "", set(), [])
    assert not (host.home / ".activating").exists()


def test_what_serves_goes_on_when_the_next_one_is_not_ready(host):
    first = host.deploy()
    host.refused.add("*")
    sentence = refused(host.deploy, "2222")
    assert f"did not become ready: it could not be started. Release {first} goes on serving." in sentence
    assert sentence.endswith("SECRET_KEY=********")
    assert (host.units, host.serves(), host.complete(), host.history()) == ({first: "active"}, first, {first}, [first])
    host.refused.clear()
    second = host.deploy("2222")
    assert host.serves() == second


def test_the_release_that_serves_is_not_stopped_for_it_is_started_again(host):
    first = host.deploy()
    host.units.clear()
    host.refused.add("*")
    sentence = refused(host.deploy)
    assert "systemd goes on trying. It said:" in sentence
    assert host.units == {first: "activating"}
    assert host.complete() == {first}


# -- the check through nginx


def test_the_edge_is_asked_by_nginx_on_this_host_after_the_flip(host, nginx):
    release = host.deploy(**URLS)
    assert nginx.asked == [
        ("https://shop.test/", {"address": "127.0.0.1", "port": 8443, "timeout": 5, "verify": False}),
    ]
    assert nginx.pointers == [release]


def test_an_answer_counts_when_no_connection_to_the_release_before_is_left(host, nginx):
    host.deploy(**URLS)
    before, start = len(nginx.asked), host.clock.now
    host.deploy("2222", **URLS)
    assert len(nginx.asked) - before > 5
    assert host.clock.now - start > _release.SETTLED


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (500, "https://shop.test/ answers 500 through nginx"),
        (404, "https://shop.test/ answers 404 through nginx"),
        (ConnectionRefusedError(111, "refused"), "https://shop.test/ can't be had through nginx ([Errno 111] refused)"),
        (TimeoutError(), "https://shop.test/ can't be had through nginx (TimeoutError)"),
        (http.client.BadStatusLine("x"), "https://shop.test/ can't be had through nginx (x)"),
    ],
)
def test_a_release_that_is_wrong_at_the_edge_is_taken_back(host, nginx, answer: object, why: str):
    first = host.deploy(**URLS)
    nginx.answers = [answer]
    host.journal = f"KeyError {host.settings()['secrets'][16:-2]}"
    sentence = refused(host.deploy, "2222", **URLS)
    assert f"was ready, but {why}. It was taken back. Release {first} goes on serving. It said:" in sentence
    assert sentence.endswith("\nKeyError ********")
    picture = host.picture()
    assert picture["serves"] == "1111aaaa"
    assert picture["runs"] == {"1111aaaa": "active"}
    assert picture["history"] == ["1111aaaa"]
    assert picture["complete"] == ["1111aaaa"]
    assert picture["left"] == []


def test_a_moment_of_trouble_is_waited_out(host, nginx):
    host.deploy(**URLS)
    nginx.answers = [502, OSError("reset"), 301]
    second = host.deploy("2222", **URLS)
    assert host.serves() == second


def test_the_first_release_is_taken_back_to_nothing(host, nginx):
    nginx.answers = [502]
    assert "It was taken back. No release serves yet." in refused(host.deploy, **URLS)
    assert host.serves() == ""
    host.drained()
    assert host.units == {}
    nginx.answers = [200]
    assert host.deploy(**URLS) == host.serves()


def test_a_release_that_served_before_is_not_forgotten_when_it_is_taken_back(host, nginx):
    first = host.deploy(**URLS)
    second = host.deploy("2222", **URLS)
    host.drained()
    nginx.answers = [500]
    assert f"Release {second} goes on serving" in refused(host.deploy, **URLS)
    assert host.complete() == {first, second}


def test_the_release_before_is_started_again_when_the_host_restarted_in_between(host, nginx):
    first = host.deploy(**URLS)
    nginx.answers = [lambda: (host.units.pop(first, None), 500)[1], 500]
    refused(host.deploy, "2222", **URLS)
    host.drained()
    assert (host.serves(), host.units) == (first, {first: "active"})


def test_the_release_that_serves_has_nothing_to_be_taken_back_to(host, nginx):
    release = host.deploy(**URLS)
    host.units.clear()
    nginx.answers = [500]
    host.journal = "words"
    assert refused(host.deploy, **URLS) == (
        f"Release {release} runs, but https://shop.test/ answers 500 through nginx. It said:\nwords"
    )
    assert (host.serves(), host.units) == (release, {release: "active"})
    assert not (host.home / ".activating").exists()


# -- a run that is killed


def killed(host, at: int, revision: str, **changes: object) -> bool:
    """Deploy, and die at that step. False when the deploy ended before."""
    host.dies_at = at
    try:
        host.deploy(revision, **changes)
    except BaseException as error:
        if type(error).__name__ != "Killed":
            raise
        return True
    finally:
        host.dies_at = -1
    return False


def deaths(host, prepare, **changes: object) -> t.Iterator[int]:
    """Deploy 2222 from the same beginning again and again, to be killed one step later each time, until it ends."""
    prepare(host)
    with tempfile.TemporaryDirectory() as folder:
        saved = host.save(Path(folder, "root"))
        at = 0
        while killed(host, at, "2222", **changes):
            yield at
            host.restore(saved)
            at += 1
    assert at > 40


def one_release(host) -> None:
    host.deploy("1111")
    host.drained()


@pytest.mark.parametrize("prepare", [lambda host: None, one_release], ids=["first", "second"])
def test_a_deploy_that_is_killed_anywhere_is_finished_by_the_same_again(host, nginx, prepare):
    changes, pictures = {**MIGRATE, **URLS}, []
    for at in deaths(host, prepare, **changes):
        served = host.serves()
        assert not served or served in host.units, at  # what the pointer names runs at every moment
        host.deploy("2222", **changes)
        pictures.append(host.picture())
        assert pictures[-1]["left"] == [], at
    host.deploy("2222", **changes)  # after the deploy that was not killed
    assert [at for at, picture in enumerate(pictures) if picture != host.picture()] == []
    assert host.picture()["serves"] == "2222"


def test_a_deploy_that_is_killed_anywhere_is_overtaken_by_another(host, nginx):
    for at in deaths(host, one_release, **URLS):
        had_served = host.serves().endswith(".2222")
        host.deploy("3333", **URLS)
        picture = host.picture()
        history = ["1111", "2222", "3333"] if had_served else ["1111", "3333"]
        assert (picture["serves"], picture["history"]) == ("3333", history), at
        assert (picture["runs"], picture["left"]) == ({"3333": "active"}, []), at


def test_a_deploy_that_is_killed_anywhere_is_followed_by_the_one_before(host, nginx):
    for at in deaths(host, one_release, **URLS):
        had_served = host.serves().endswith(".2222")
        host.deploy("1111", **URLS)
        picture = host.picture()
        history = ["1111", "2222", "1111"] if had_served else ["1111"]
        assert (picture["serves"], picture["history"]) == ("1111", history), at
        assert (picture["runs"], picture["left"]) == ({"1111": "active"}, []), at


def test_what_a_killed_run_flipped_to_is_taken_back_by_the_next_one_when_it_is_wrong(host, nginx):
    first = host.deploy("1111", **URLS)
    nginx.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        host.deploy("2222", **URLS)
    assert host.serves() != first
    nginx.answers = [500]
    assert "It was taken back" in refused(host.deploy, "2222", **URLS)
    assert host.serves() == first
    assert host.picture()["runs"] == {"1111": "active"}


def test_a_taking_back_that_is_killed_anywhere_is_finished_by_a_good_release(host, nginx):
    nginx.answers = [500]
    steps = 0
    with pytest.raises(ReleaseError, match="It was taken back"):  # by the deploy that was not killed
        for at in deaths(host, one_release, **URLS):
            nginx.answers = [200]
            host.deploy("3333", **URLS)
            picture = host.picture()
            assert (picture["serves"], picture["runs"]) == ("3333", {"3333": "active"}), at
            nginx.answers, steps = [500], at
    assert steps > 40


# -- going back


def test_a_rollback_lets_the_release_before_serve(host):
    first, second = host.deploy(), host.deploy("2222")
    report = host.releases(source="", uv_version="").perform("rollback", "")
    assert report == {"changed": True, "release": first, "before": second, "removed": []}
    assert (host.serves(), host.history()) == (first, [first, second, first])
    assert host.history("action") == ["deploy", "deploy", "rollback"]
    assert f"shop-drain-{second}.service" in host.others


def test_to_go_back_twice_leads_further_back(host):
    first, _second, _third = host.deploy(), host.deploy("2222"), host.deploy("3333")
    host.drained()
    for _step in range(2):
        host.releases().perform("rollback", "")
    assert host.serves() == first
    assert "The release before" in refused(host.releases().perform, "rollback", "")


def test_a_rollback_to_a_release_that_is_named(host):
    first, _second, third = host.deploy(), host.deploy("2222"), host.deploy("3333")
    assert host.releases().perform("rollback", first, check_mode=True)["changed"]
    assert host.serves() == third
    assert host.releases().perform("rollback", first)["before"] == third
    assert host.releases().perform("rollback", first) == {
        "changed": False,
        "release": first,
        "before": first,
        "removed": [],
    }


def test_what_a_rollback_can_not_go_back_to(host):
    assert refused(host.releases().perform, "rollback", "") == (
        "No release of shop serves on this host: there is nothing to go back from."
    )
    first = host.deploy()
    assert refused(host.releases().perform, "rollback", "") == (
        f"The release before {first} is none, and no other release is kept on this host: "
        "deploy the version that you want."
    )
    host.deploy("2222")
    assert refused(host.releases().perform, "rollback", "old") == (
        f"app_release is 'old', which is not kept on this host: name one of {first} as app_release."
    )


def test_a_rollback_that_does_not_become_ready_changes_nothing(host):
    first, second = host.deploy(), host.deploy("2222")
    host.drained()
    host.refused.add(first)
    assert "did not become ready" in refused(host.releases().perform, "rollback", "")
    assert (host.serves(), host.complete()) == (second, {first, second})


def test_a_host_without_the_role_is_told_what_to_run(host):
    (host.home / "releases").rmdir()
    assert refused(host.releases().perform, "build", "") == (
        "shop is not set up on this host: run the playbook asgi.production.site first."
    )


# -- a warm release


def test_the_release_before_stays_warm(host):
    first = host.deploy(keep_warm=True)
    second = host.deploy("2222", keep_warm=True)
    assert host.units == {first: "active", second: "active"} and not host.others
    third = host.deploy("3333", keep_warm=True)
    assert host.others == {f"shop-drain-{first}.service"}
    host.drained()
    assert host.units == {second: "active", third: "active"}


def test_a_rollback_to_a_warm_release_starts_nothing_and_asks_whether_it_is_ready(host):
    first, second = host.deploy(), host.deploy("2222", keep_warm=True)
    host.asked.clear()
    host.releases(keep_warm=True).perform("rollback", "")
    assert host.serves() == first
    assert not [line for line in host.asked if line.startswith("systemctl start")]
    assert [line for line in host.asked if line.endswith(f"/gate {first}")]
    assert host.others == {f"shop-drain-{second}.service"}  # it was left for a reason


def test_a_warm_release_that_is_not_well_is_started_again(host):
    first = host.deploy()
    host.deploy("2222", keep_warm=True)
    host.answers["/gate "] = Done(1, "not ready")
    host.asked.clear()
    host.releases().perform("rollback", "")
    verbs = [line.split()[1] for line in host.asked if line.endswith(f"shop@{first}.service")]
    assert verbs == ["show", "stop", "reset-failed", "start"]


# -- who did what


def audit(host) -> list[dict]:
    return [json.loads(line) for line in (host.home / "audit.jsonl").read_text().splitlines()]


def test_each_deploy_and_rollback_is_told_in_a_file_and_in_the_journal(host):
    first, second = host.deploy(version="v1"), host.deploy("2222", version="v2")
    host.releases(by="bob").perform("rollback", "")
    told = [(line["step"], line["by"], line["release"], line["version"], line["outcome"]) for line in audit(host)]
    assert told == [
        ("activate", "ann", first, "v1", "serves, in place of none"),
        ("activate", "ann", second, "v2", f"serves, in place of {first}"),
        ("rollback", "bob", first, "v1", f"serves, in place of {second}"),
    ]
    logged = [line for line in host.asked if line.startswith("logger")]
    assert logged[-1] == (f"logger --tag shop-deploy -- rollback of {first} (v1) by bob: serves, in place of {second}")


def test_a_deploy_that_failed_is_told_with_its_reason(host):
    host.deploy()
    host.refused.add("*")
    refused(host.deploy, "2222")
    assert audit(host)[-1]["outcome"].startswith("failed: Release ")
    assert "did not become ready" in audit(host)[-1]["outcome"]


def test_what_changed_nothing_is_not_told(host):
    first = host.deploy()
    host.deploy()
    host.releases().perform("rollback", first)
    assert len(audit(host)) == 1


# -- what is there


def test_the_table_of_releases(host):
    names = [host.deploy(f"{number}{number}", version=f"v{number}") for number in range(1, 5)]
    bad = host.releases(revision="local-9999").perform("build", "")["release"]
    os.unlink(host.home / "releases" / bad / ".complete")
    host.units.pop(names[0])
    host.others.discard(f"shop-drain-{names[1]}.service")
    table = host.releases().table()
    states = [(release["id"], release["state"]) for release in table]
    assert states == [
        (bad, "failed"),
        (names[3], "serves"),
        (names[2], "drains"),
        (names[1], "warm"),
        (names[0], "kept"),
    ]
    assert (table[1]["version"], table[1]["by"], table[1]["revision"]) == ("v4", "ann", "local-44")
    assert table[0]["activated"] == table[0]["by"] == ""
    host.units.clear()
    assert host.releases().table()[1]["state"] == "down"


def test_a_host_without_releases_has_an_empty_table(host):
    (host.home / "releases").rmdir()
    assert host.releases().table() == []
