# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what stands on a host of an app, and of the build."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _build
from ansible_collections.asgi.production.plugins.module_utils._build import Done, ReleaseError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def refused(call, *args: object, **options: object) -> str:
    """Return the sentence with which it is refused."""
    with pytest.raises(ReleaseError) as error:
        call(*args, **options)
    return str(error.value)


# -- small functions


def test_a_program_says_its_code_and_all_that_it_said():
    assert _build.run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Done(3, "out\nerr")
    assert _build.run(["cat"]) == Done(0, "")  # nobody types


@pytest.mark.parametrize(
    ("argv", "options", "word"),
    [
        (["/no/such/program"], {}, "/no/such/program: No such file or directory"),
        (["true"], {"cwd": "/no/such/folder"}, "true: No such file or directory"),
        (["true"], {"user": "nobody-of-this-name"}, "true: "),
    ],
)
def test_a_program_that_cannot_start_is_an_answer_too(argv: list, options: dict, word: str):
    done = _build.run(argv, **options)
    assert done.code == 127
    assert done.said.startswith(word)


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path):
    script = f"(sleep 0.6; touch {shlex.quote(str(tmp_path / 'late'))}) & sleep 60"
    assert _build.run(["sh", "-c", script], timeout=0.2) == Done(124, "sh did not end within 0.2 seconds")
    time.sleep(0.6)
    assert not (tmp_path / "late").exists()


def test_systemd_and_a_shell_read_an_environment_file_alike(tmp_path: Path):
    values = {"B": 'a "quoted" \\ `word` $HOME', "A": "plain", "C": "two\nlines", "D": "#'%i ü"}
    text = _build.environment_file(values)
    assert text.startswith('A="plain"\nB="a \\"quoted\\" \\\\ \\`word\\` \\$HOME"\n')
    (tmp_path / "environment").write_text(text)
    dump = [sys.executable, "-c", "import json, os; print(json.dumps({k: os.environ[k] for k in 'ABCD'}))"]
    shell = ["sh", "-c", f"set -a; . {tmp_path}/environment; {shlex.join(dump)}"]
    assert json.loads(subprocess.run(shell, check=True, capture_output=True).stdout) == values


def test_variables_are_written_as_people_write_them():
    assert _build.variables('{"A": 1, "B": true, "C": null, "D": "x", "E": [1], "F": 0.5, "G": ""}') == {
        "A": "1",
        "B": "true",
        "D": "x",
        "E": "[1]",
        "F": "0.5",
        "G": "",
    }
    assert _build.variables("") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"A-B": 1}', "app_environment: 'A-B' can't be the name of a variable: use letters, digits and _."),
        ('{"A": "x\\u0000"}', "app_environment: the value of A has a NUL character, which no variable can hold."),
    ],
)
def test_an_impossible_variable_is_refused(text: str, sentence: str):
    assert refused(_build.variables, text) == sentence


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"main.py": "import x\napp = FastAPI(title='x')\n"}, "main:app"),
        ({"main.py": "api: fastapi.FastAPI = fastapi.FastAPI(\n"}, "main:api"),
        ({"main.py": "app = 3\n", "app/main.py": "application = create_app()\n"}, "app.main:application"),
        ({"shop/asgi.py": "app = get_asgi_application()\n"}, "shop.asgi:app"),
        ({"main.py": "    app = FastAPI()\n", "src/api.py": "app = FastAPI()\n"}, "src.api:app"),
        ({"pyproject.toml": '[tool.fastapi]\nentrypoint = "a.b:c"\n', "main.py": "app = FastAPI()\n"}, "a.b:c"),
        (
            {"pyproject.toml": '[tool.fastapi]\n[tool.x]\nentrypoint = "a:c"\n', "main.py": "app = FastAPI()"},
            "main:app",
        ),
    ],
)
def test_the_application_is_found_where_people_put_it(tmp_path: Path, files: dict, found: str):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _build.find_application(str(tmp_path), "shop") == found


def test_an_application_that_is_not_found_is_asked_for(tmp_path: Path):
    sentence = refused(_build.find_application, str(tmp_path), "shop")
    assert "main.py, app.py, api.py, asgi.py, app/main.py" in sentence
    assert sentence.endswith("set app_module, such as app_module: shop.main:app.")


def test_a_file_is_replaced_in_one_step_with_its_mode_whatever_the_umask_is(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / "file.new").symlink_to("/no/such/place")  # of a run that was killed
    mask = os.umask(0o077)
    try:
        _build.write(str(path), "new", 0o644)
    finally:
        os.umask(mask)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o644)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_is_pointed_elsewhere_also_over_what_a_killed_run_left(tmp_path: Path):
    path = tmp_path / "current"
    path.symlink_to("a")
    (tmp_path / "current.new").symlink_to("c")
    _build.replace_link(str(path), "b")
    assert os.readlink(path) == "b"
    assert [entry.name for entry in tmp_path.iterdir()] == ["current"]


def test_reading_what_is_not_there_gives_nothing(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"a\xff")
    assert _build.read(str(tmp_path / "none")) == ""
    assert _build.read(str(tmp_path / "file" / "none")) == ""
    assert _build.read(str(tmp_path / "file")) == "a\ufffd"


def test_only_the_last_lines_are_shown():
    assert _build.last("1\n2\n3", 2) == "2\n3"


# -- what is there


@pytest.mark.parametrize("name", ["", "Shop", "1shop", "a-b", "../x", "a" * 25, "a\n"])
def test_an_impossible_name_is_refused(host, name: str):
    assert refused(host.releases, name=name) == f"name is {name!r}: use up to 24 lower-case letters, digits and _."


def test_a_fresh_host_has_nothing(host):
    releases = host.releases()
    assert (releases.current(), releases.about(""), releases.history(), releases.unfinished()) == ("", {}, [], {})
    assert (releases.complete(), releases.running("active")) == ([], [])


def test_without_a_folder_of_releases_there_are_none(host):
    (host.home / "releases").rmdir()
    assert host.releases().complete() == []


def test_half_a_line_of_history_is_none(host):
    (host.home / "history.jsonl").write_text('{"id": "a"}\n{"id": "b')
    assert host.releases().history() == [{"id": "a"}]


def test_what_runs_is_what_systemd_lists(host):
    said = "shop@a.service loaded active running x\nshop@b.service loaded failed failed x\n\nshop@c.service\n"
    host.answers["list-units"] = Done(0, said)
    assert host.releases().running("active") == ["a"]
    assert host.releases().running("active", "failed") == ["a", "b"]


def test_an_interpreter_that_does_not_run_is_named(host):
    host.answers["version_info"] = Done(127, "python9: No such file or directory")
    sentence = refused(host.releases(python="python9").build)
    assert sentence == "app_python is 'python9', which does not run on this host: python9: No such file or directory"


# -- which release is wanted


def test_the_same_again_makes_and_changes_nothing(host):
    release = host.deploy()
    host.asked.clear()
    again = host.releases().perform("build", "")
    assert again == {
        "changed": False,
        "due": False,
        "release": release,
        "current": release,
        "revision": "local-1111aaaa",
    }
    assert all(line.startswith(("systemctl list-units", "/usr/bin/python3 -c")) for line in host.asked)


@pytest.mark.parametrize(
    "change",
    [
        {"revision": "local-2"},
        {"version": "v2"},
        {"subfolder": "."},
        {"module": "main:other"},
        {"python": "/opt/bin/python3"},
        {"requirements": "requirements.txt"},
        {"server_requirements": ["uvicorn", "uvloop"]},
        {"scripts": {"start": "x"}},
        {"migrate_command": "alembic"},
        {"environment": '{"A": 1}'},
        {"secrets": "{}"},
    ],
)
def test_whatever_decides_how_a_release_runs_makes_another_one(host, change: dict):
    release = host.deploy()
    built = host.releases(**change).perform("build", "")
    assert built["due"]
    assert built["release"] not in ("", release)
    assert host.serves() == release


def test_the_unit_decides_how_a_release_runs_too(host):
    release = host.deploy()
    (host.root / "etc/systemd/system/shop@.service").write_text("[Service]\nNice=1\n")
    assert host.releases().perform("build", "")["release"] != release


@pytest.mark.parametrize("change", [{"keep": 9}, {"by": "bob"}, {"check_urls": ["https://x/"]}, {"start_timeout": 9}])
def test_what_only_decides_how_it_is_deployed_makes_none(host, change: dict):
    release = host.deploy()
    assert host.releases(**change).perform("build", "")["release"] == release


def test_a_release_that_serves_but_does_not_run_is_due(host):
    release = host.deploy()
    host.units.clear()
    built = host.releases().perform("build", "")
    assert (built["release"], built["due"], built["changed"]) == (release, True, True)


def test_a_release_that_was_built_before_is_taken_again(host):
    first = host.deploy()
    second = host.deploy("2222")
    assert host.deploy() == first
    assert host.history() == [first, second, first]


def test_check_mode_on_a_fresh_host_asks_for_nothing(host):
    (host.root / "var/cache/asgi-production/shop").rmdir()
    report = host.releases(local=False, revision="").perform("build", "", check_mode=True)
    assert report == {"changed": True, "due": True, "release": "", "current": "", "revision": ""}
    assert host.asked == []


def test_check_mode_makes_nothing_and_tells_what_would_be_made(host):
    first = host.deploy()
    report = host.releases(revision="local-2").perform("build", "", check_mode=True)
    assert report == {"changed": True, "due": True, "release": "", "current": first, "revision": "local-2"}
    assert host.releases().perform("build", "", check_mode=True)["changed"] is False
    assert os.listdir(host.home / "releases") == [first]


def test_a_folder_is_asked_for_only_when_it_must_be_built(host):
    assert host.releases(archive="").perform("build", "")["wants_archive"] is True
    host.deploy()
    assert "wants_archive" not in host.releases(archive="").perform("build", "")


# -- the release's folder


def test_a_release_holds_all_that_it_runs_by(host):
    scripts = {"start": "#!/bin/sh\nexec uvicorn\n", "gate": "#!/bin/sh\n"}
    release = host.releases(environment='{"A": 1}', scripts=scripts, version="v1").perform("build", "")["release"]
    folder = host.home / "releases" / release
    assert re.fullmatch(r"\d{8}T\d{6}\.1111aaaa", release)
    assert sorted(os.listdir(folder)) == sorted(
        [".complete", "app", "code", "environment", "gate", "release.json", "run", "start", "venv"]
    )
    environment = dict(line.split("=", 1) for line in (folder / "environment").read_text().splitlines())
    assert environment == {
        "A": '"1"',
        "APP_VERSION": '"v1"',
        "ASGI_APPLICATION": '"main:app"',
        "PATH": f'"{folder}/venv/bin:/usr/local/bin:/usr/bin:/bin"',
        "PYTHONUNBUFFERED": '"1"',
        "SECRET_KEY": '"correct horse battery"',
    }
    assert stat.S_IMODE((folder / "environment").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "start").stat().st_mode) == 0o755
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert host.owners == {release: "root:shop", "app": "shop_build:shop", "venv": "shop_build:shop"}
    assert os.readlink(folder / "code") == "app"
    assert os.readlink(folder / "run") == f"/run/shop/{release}"
    about = json.loads((folder / "release.json").read_text())
    assert (about["id"], about["version"], about["source"]) == (release, "v1", "/home/me/shop")


def test_the_builder_gets_none_of_the_apps_secrets(host):
    host.releases(build_environment='{"UV_DEFAULT_INDEX": "https://u:indexpass@x/"}').perform("build", "")
    built = [options for options in host.options if options.get("user") == "shop_build"]
    assert len(built) >= 4
    assert all("SECRET_KEY" not in options["env"] for options in built)
    assert all(options["env"]["UV_DEFAULT_INDEX"] for options in built)
    assert all((options["group"], options["umask"]) == ("shop", 0o027) for options in built)


def repack(host, files: dict) -> None:
    """Give the host another source."""
    folder = host.root / "other"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["tar", "-czf", host.root / "source.tar.gz", "-C", folder, "."], check=True)


def test_an_app_in_a_subfolder_with_static_files(host):
    repack(host, {"back/main.py": "app = FastAPI()\n", "back/uv.lock": "", "back/static/a.css": ""})
    release = host.releases(subfolder="back").perform("build", "")["release"]
    folder = host.home / "releases" / release
    assert os.readlink(folder / "code") == "app/back"
    assert (folder / "static/a.css").exists()


@pytest.mark.parametrize("subfolder", ["none", "..", "../..", "/etc", "main.py"])
def test_a_subfolder_that_is_none_is_refused(host, subfolder: str):
    sentence = refused(host.releases(subfolder=subfolder).perform, "build", "")
    assert sentence == f"app_subfolder is {subfolder!r}, but the source has no such folder."
    assert os.listdir(host.home / "releases") == []


@pytest.mark.parametrize(
    ("files", "settings", "word"),
    [
        ({"uv.lock": "", "requirements.txt": ""}, {}, "uv sync --quiet --frozen --no-dev --compile-bytecode"),
        ({"requirements.txt": "", "pyproject.toml": ""}, {}, "--compile-bytecode --requirements requirements.txt"),
        ({"pyproject.toml": "[project]\n"}, {}, "--compile-bytecode --requirements pyproject.toml"),
        ({"pyproject.toml": "[build-system]\n"}, {}, "--compile-bytecode --editable ."),
        ({"uv.lock": "", "deps/prod.txt": ""}, {"requirements": "deps/prod.txt"}, "--requirements deps/prod.txt"),
    ],
)
def test_dependencies_are_installed_by_the_file_that_lists_them(host, files: dict, settings: dict, word: str):
    repack(host, {"main.py": "app = FastAPI()\n", **files})
    host.releases(**settings).perform("build", "")
    assert any(line.endswith(word) for line in host.asked)


def test_a_source_that_lists_no_dependencies_is_refused(host):
    repack(host, {"main.py": "app = FastAPI()\n"})
    sentence = refused(host.releases().perform, "build", "")
    assert sentence.startswith("The source has no uv.lock, requirements.txt or pyproject.toml: add one, or set app_")


def test_the_server_is_installed_where_the_app_brings_none(host):
    host.releases().perform("build", "")
    assert not any(line.endswith(" uvicorn") and " pip install " in line for line in host.asked)
    host.answers["importlib.metadata"] = Done(0, "uvicorn\nuvloop>=1")
    host.releases(revision="local-2").perform("build", "")
    assert any(line.endswith(" --compile-bytecode uvicorn uvloop>=1") for line in host.asked)


def test_what_is_lacking_is_told_by_the_interpreter_itself():
    asked = ["PyTest>=1", "no-such.thing[extra]==2", "ansible_core"]
    assert _build.run([sys.executable, "-c", _build.LACKING, *asked]) == Done(0, "no-such.thing[extra]==2")


def test_uv_of_a_version_is_installed_once_and_half_of_it_is_none(host):
    folder = host.root / "opt/asgi-production/uv-0.9.1"
    (folder / "bin").mkdir(parents=True)
    (folder / "half").touch()
    host.deploy()
    assert not (folder / "half").exists()
    host.deploy("2222")
    assert [line for line in host.asked if "uv==0.9.1" in line] == [
        f"{folder}/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: uv==0.9.1"
    ]


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("tar -xzf", "Unpacking the source failed, so nothing was changed:\nwhy"),
        ("-m venv", "Making a folder for uv failed, so nothing was changed:\nwhy"),
        ("uv==", "Installing uv failed, so nothing was changed:\nwhy"),
        ("uv venv", "uv venv failed, so nothing was changed:\nwhy"),
        ("--requirements", "Installing the dependencies of requirements.txt failed, so nothing was changed:\nwhy"),
        ("importlib.metadata", "Looking for the server failed, so nothing was changed:\nwhy"),
    ],
)
def test_a_build_that_fails_says_so_and_leaves_nothing(host, program: str, sentence: str):
    serving = host.deploy() if "uv==" not in program and "-m venv" not in program else ""
    before = host.picture()
    host.answers[program] = Done(1, "why")
    assert refused(host.deploy, "2222") == sentence
    assert (host.serves(), host.picture()) == (serving, before)
    del host.answers[program]
    assert host.serves() != host.deploy("2222") or not serving


def test_a_server_that_cannot_be_installed_fails_the_build(host):
    host.answers["importlib.metadata"] = Done(0, "uvicorn")
    host.answers["--compile-bytecode uvicorn"] = Done(1, "no route")
    assert refused(host.deploy) == "Installing the server failed, so nothing was changed:\nno route"


def test_a_file_that_does_not_compile_fails_nothing(host):
    host.answers["compileall"] = Done(1, "SyntaxError")
    assert host.deploy()


def test_what_earlier_builds_left_is_removed_but_never_what_runs(host):
    serving = host.deploy()
    for name in ("half", "stopping", "draining"):
        (host.home / "releases" / name).mkdir()
    host.units.update(stopping="deactivating", draining="active")
    host.releases(revision="local-2").perform("build", "")
    assert {"stopping", "draining", serving} < set(os.listdir(host.home / "releases"))
    assert not (host.home / "releases/half").exists()


# -- git


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory):
    """Return a repository with two commits, a branch, and tags of both kinds, and a function for its commits."""
    folder = tmp_path_factory.mktemp("git") / "shop"
    folder.mkdir()
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    env.update({f"GIT_{who}_{what}": "a@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")})

    def git(*argv: str) -> str:
        done = subprocess.run(["git", "-C", folder, *argv], env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    (folder / "main.py").write_text("app = FastAPI()\n")
    (folder / "requirements.txt").write_text("fastapi\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("tag", "v1")
    git("tag", "-a", "v1.1", "-m", "annotated")
    git("checkout", "--quiet", "-b", "next")
    (folder / "main.py").write_text("app = FastAPI(title='next')\n")
    git("commit", "--quiet", "-am", "two")
    git("tag", "next")
    git("checkout", "--quiet", "main")
    return folder, git


def git_settings(repository: tuple, **changes: str) -> dict:
    return {"source": f"file://{repository[0]}", "local": False, "revision": "", "archive": "", **changes}


@pytest.mark.parametrize(
    ("version", "commit"),
    [("", "main"), ("v1", "main"), ("v1.1", "main"), ("main", "main"), ("next", "refs/heads/next")],
)
def test_a_version_names_a_tag_a_branch_or_the_default(host, repository, version: str, commit: str):
    found = repository[1]("rev-parse", f"{commit}^{{commit}}")
    assert host.releases(**git_settings(repository, version=version)).resolve() == found


def test_a_whole_commit_id_is_asked_nobody(host, repository):
    assert host.releases(**git_settings(repository, version=COMMIT)).resolve() == COMMIT
    assert host.asked == []


def test_a_version_that_is_not_there_is_named(host, repository):
    sentence = refused(host.releases(**git_settings(repository, version="v9")).resolve)
    assert sentence == (
        f"app_version is 'v9', but file://{repository[0]} has no such tag or branch: name one, or a whole commit id of "
        "40 digits."
    )


def test_a_repository_without_a_commit_is_named(host):
    host.answers["ls-remote"] = Done(0, "warning: something else")
    sentence = refused(host.releases(source="https://x/shop.git").resolve)
    assert sentence == "app_source https://x/shop.git has no commit yet: push one, or set app_version."


def test_a_repository_that_cannot_be_read_is_named_without_its_password(host, tmp_path: Path):
    host.answers["ls-remote"] = Done(128, "fatal: https://ann:p%20assword@x/ 'p assword' says no")
    sentence = refused(host.releases(source="https://x/", credentials="ann:p%20assword").resolve)
    assert sentence == "git can't read app_source https://x/ from this host: fatal: https://x/ '********' says no"
    host.answers.clear()
    sentence = refused(host.releases(source=f"file://{tmp_path}/none").resolve)
    assert sentence.startswith(f"git can't read app_source file://{tmp_path}/none from this host: fatal: ")


def test_the_code_of_a_commit_is_unpacked_without_its_history(host, repository):
    release = host.deploy(**git_settings(repository, version="v1.1"))
    folder = host.home / "releases" / release
    assert sorted(os.listdir(folder / "app")) == ["main.py", "requirements.txt"]
    assert json.loads((folder / "release.json").read_text())["version"] == "v1.1"
    assert os.listdir(host.root / "var/cache/asgi-production/shop") == []


def test_a_commit_is_deployed_by_its_id_and_told_by_twelve_digits_of_it(host, repository):
    commit = repository[1]("rev-parse", "refs/heads/next")
    release = host.deploy(**git_settings(repository, version=commit))
    assert "next" in (host.home / "releases" / release / "code/main.py").read_text()
    assert release.endswith(f".{commit[:8]}")
    assert host.releases().version(commit) == commit[:12]


def test_a_server_that_hands_out_no_commits_is_asked_for_all(host, repository):
    host.answers["--depth=1"] = Done(128, "error: Server does not allow request for unadvertised object")
    commit = repository[1]("rev-parse", "refs/heads/next")
    assert host.deploy(**git_settings(repository, version=commit))


def test_a_commit_that_is_not_there_is_named_and_leaves_nothing(host, repository):
    sentence = refused(host.deploy, **git_settings(repository, version=COMMIT))
    assert sentence == f"app_version is {COMMIT!r}, but file://{repository[0]} has no such commit."
    assert os.listdir(host.home / "releases") == []


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("git init", "git init"),
        (" fetch ", "git fetch file://"),
        (" archive ", "git archive"),
        ("tar -xf", "Unpacking the source"),
    ],
)
def test_git_that_fails_is_told(host, repository, program: str, what: str):
    host.answers[program] = Done(1, "why")
    sentence = refused(host.deploy, **git_settings(repository))
    assert sentence.startswith(what)
    assert sentence.endswith(" failed, so nothing was changed:\nwhy")


def test_credentials_are_in_gits_environment_only(host):
    host.answers["git"] = Done(0, f"{COMMIT}\tHEAD")
    host.releases(source="https://x/", credentials="ann:p%40ss").resolve()
    env = host.options[-1]["env"]
    assert (env["ASGI_GIT_USER"], env["ASGI_GIT_PASSWORD"]) == ("ann", "p@ss")
    assert "p@ss" not in host.asked[-1]
    count = int(env["GIT_CONFIG_COUNT"])
    config = {env[f"GIT_CONFIG_KEY_{index}"]: env[f"GIT_CONFIG_VALUE_{index}"] for index in range(count)}
    assert config["credential.helper"] == _build.HELPER
    script = f"{_build.HELPER[1:]} get"
    said = subprocess.run(["sh", "-c", script], env=env, check=True, capture_output=True, text=True).stdout
    assert said == "username=ann\npassword=p@ss\n"


def test_without_credentials_there_is_no_helper(host):
    host.answers["git"] = Done(0, f"{COMMIT}\tHEAD")
    host.releases(source="https://x/").resolve()
    assert not any(
        key.startswith("ASGI_GIT") or value == _build.HELPER for key, value in host.options[-1]["env"].items()
    )


# -- secrets


def test_secrets_are_taken_out_of_what_programs_print(host):
    releases = host.releases(
        secrets='{"KEY": "one secret", "PEM": "first line\\nsecond line"}',
        environment='{"API_TOKEN": "token-1", "MODE": "production", "URL": "redis://app:in%2Furl@x/0", "A_KEY": "abc"}',
        migrate_environment='{"DATABASE_URL": "postgresql://owner:ownerpass@/shop"}',
        build_environment='{"UV_DEFAULT_INDEX": "https://u:indexpass@x/"}',
        credentials="justatoken",
    )
    for secret in (
        "one secret",
        "second line",
        "token-1",
        "in%2Furl",
        "in/url",
        "ownerpass",
        "indexpass",
        "justatoken",
    ):
        assert releases.scrub(f"<{secret}>") == "<********>"
    assert releases.scrub("production abc") == "production abc"
    assert releases.scrub("see https://other:word@y/z") == "see https://y/z"


def test_a_secret_that_is_part_of_another_leaves_no_rest(host):
    releases = host.releases(secrets='{"A": "secret", "B": "secret-and-more"}')
    assert releases.scrub("secret-and-more") == "********"
