# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an app comes from: git by URL, with and without credentials, and folders of all sorts."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

# A git repository over HTTP for those who know the password.
SERVER = """
    import base64, functools, http.server, threading, time

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization", "")
            if given != "Basic " + base64.b64encode(b"deploy:canary-git p@ss").decode():
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
                return
            super().do_GET()

    there = functools.partial(Handler, directory="/opt/repositories")
    http.server.ThreadingHTTPServer(("127.0.0.1", 8099), there).serve_forever()
    """


def git(folder: Path, *argv: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=trunk"]
    return subprocess.run(["git", *who, *argv], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(machine, source, tmp_path_factory) -> dict[str, str]:
    """A repository on the host that belongs to somebody else, with tags; what its commits are called."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "--quiet")
    commits = {}

    def commit(name: str) -> None:
        inner = folder / "services" / "web"
        inner.mkdir(parents=True, exist_ok=True)
        for path in source(name).iterdir():
            shutil.copy(path, inner)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", name)
        commits[name] = git(folder, "rev-parse", "HEAD")

    commit("tagged")
    git(folder, "tag", "-a", "v1", "-m", "annotated")
    commit("lightly tagged")
    git(folder, "tag", "v2")
    commit("trunk")
    git(folder, "checkout", "--quiet", "-b", "feature/x")
    commit("branch")
    git(folder, "checkout", "--quiet", "trunk")
    git(folder, "update-server-info")
    machine.shell(
        "rm -rf /opt/repositories /opt/lock; mkdir /opt/repositories; id stranger >/dev/null 2>&1 || useradd stranger"
    )
    subprocess.run(["docker", "cp", "--quiet", f"{folder}/.git", "release1:/opt/repositories/app.git"], check=True)
    machine.shell("chown -R stranger: /opt/repositories; chmod -R a+rX /opt/repositories")
    machine.run("tee", "/opt/server.py", text=textwrap.dedent(SERVER))
    machine.shell("systemctl is-active -q server || systemd-run -q --unit=server python3 /opt/server.py")
    return commits


FROM = {"app_source": "file:///opt/repositories/app.git", "app_subfolder": "services/web"}


@pytest.mark.parametrize(
    ("version", "mark"), [("v1", "tagged"), ("v2", "lightly tagged"), ("feature/x", "branch"), ("", "trunk")]
)
def test_a_version_by_name(machine, serving, repository, version, mark):
    machine.variables = {**FROM, "app_version": version}
    machine.play()
    assert machine.serves(mark)
    last = machine.history()[-1]
    assert last["revision"] == repository[mark]
    assert last["version"] == machine.answer()["version"] == (version or repository[mark][:12])
    if not version:
        assert machine.play().changed == 0


def test_a_version_by_commit_with_credentials_that_are_nowhere(machine, serving, repository):
    url = "http://deploy:canary-git%20p%40ss@127.0.0.1:8099/app.git"
    machine.variables = {**FROM, "app_source": url, "app_version": repository["tagged"]}
    machine.play()
    assert machine.serves("tagged")
    assert machine.history()[-1]["source"] == "http://127.0.0.1:8099/app.git"
    found = machine.shell(
        "grep -rlE 'canar[y]-git|Y2FuYXJ5LWdpd[C]' /srv /var/cache /etc /root /run/tiny /var/lib 2>/dev/null",
        check=False,
    )
    assert found == ""
    machine.variables["app_source"] = url.replace("p%40ss", "wrong")
    machine.variables["app_version"] = "v2"
    failure = machine.play(fails=True).failure
    assert "git can't read app_source http://127.0.0.1:8099/app.git from this host" in failure


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"app_version": "v9"}, "app_version is 'v9', but file:///opt/repositories/app.git has no such tag or branch"),
        (
            {"app_version": "a" * 40},
            f"app_version is '{'a' * 40}', but file:///opt/repositories/app.git has no such commit",
        ),
        (
            {"app_source": "https://no-such-host.invalid/a.git"},
            "git can't read app_source https://no-such-host.invalid/a.git",
        ),
        (
            {"app_subfolder": "../../../../../etc"},
            "app_subfolder is '../../../../../etc', but the source has no such folder",
        ),
        ({"app_subfolder": ""}, "No FastAPI application was found in main.py"),
        ({"app_python": "/usr/bin/python9"}, "app_python is '/usr/bin/python9', which does not run on this host"),
    ],
    ids=["version", "commit", "host", "outside", "module", "python"],
)
def test_what_is_not_there_is_named(machine, serving, repository, variables, sentence):
    machine.variables = {**FROM, **variables}
    play = machine.play(fails=True)
    assert sentence in play.failure
    assert play.task("Build the release") < 20
    machine.whole(serving.release)


def test_a_host_that_is_silent_is_told_of_in_seconds(machine, serving):
    silent = "import socket,time; s=socket.create_server(('127.0.0.1', 8098)); time.sleep(300)"
    machine.shell(f'systemctl is-active -q silent || systemd-run -q --unit=silent python3 -c "{silent}"')
    machine.variables = {**FROM, "app_source": "http://127.0.0.1:8098/app.git"}
    play = machine.play(fails=True)
    assert (
        "git can't read app_source http://127.0.0.1:8098/app.git from this host: git did not end within 20"
        in play.failure
    )
    assert play.task("Build the release") < 35
    assert "tiny: build goes on (10 s)" in play.text
    machine.whole(serving.release)


def test_a_folder_of_somebody_else_with_all_that_folders_have(machine, serving, tmp_path):
    """Of a work tree, what git would track: whoever owns it, whatever its names are."""
    folder = tmp_path / "a folder with spaces"
    (folder / "lib").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text(".env\nbuild/\n")
    (folder / ".env").write_text("canary-ignored")
    (folder / "build").mkdir()
    (folder / "build" / "x").write_text("ignored")
    (folder / "lib" / "grün $x 'y'.txt").write_text("untracked")
    (folder / "link").symlink_to("lib")
    (folder / "dangling").symlink_to("/nowhere")
    (folder / "lib" / "main.py").write_text(
        textwrap.dedent("""
        import os
        from fastapi import FastAPI
        api = FastAPI()
        @api.get("/health/ready")
        def ready():
            return {"mark": "folder", "files": sorted(name for _, _, names in os.walk(".") for name in names)}
        """)
    )
    (folder / "requirements.txt").write_text("fastapi==0.136.0\n")
    (folder / "static").mkdir()
    (folder / "static" / "logo.svg").write_text("<svg/>")
    git(folder, "add", "requirements.txt", ".gitignore")
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(base, name), 12345, 12345, follow_symlinks=False)
            if name in files and not os.path.islink(os.path.join(base, name)):
                os.chmod(os.path.join(base, name), 0o600)
    os.chown(folder, 12345, 12345)
    machine.variables = {"app_source": str(folder), "app_module": "lib.main:api"}
    machine.play()
    files = machine.answer()["files"]
    assert "grün $x 'y'.txt" in files and "requirements.txt" in files and "dangling" in files
    assert not {".env", "x", "config"} & {*files}
    assert machine.shell("readlink /srv/tiny/current/app/link /srv/tiny/current/app/dangling").split() == [
        "lib",
        "/nowhere",
    ]
    assert machine.shell("cat /srv/tiny/current/static/logo.svg", user="www-data") == "<svg/>"
    assert machine.play().changed == 0


PYPROJECT = """
    [project]
    name = "tiny"
    version = "1"
    requires-python = ">=3.11"
    dependencies = ["fastapi==0.136.0"]
    """
PACKAGE = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"
    [tool.setuptools]
    py-modules = ["main"]
    [tool.fastapi]
    entrypoint = "main:app"
    """


def test_a_pyproject_alone_and_a_package_of_its_own(machine, serving, source, figure):
    folder = source("pyproject", **{"pyproject.toml": textwrap.dedent(PYPROJECT)})
    (folder / "requirements.txt").unlink()
    machine.variables = {"app_source": str(folder)}
    machine.play()
    assert machine.serves("pyproject")
    (folder / "pyproject.toml").write_text(textwrap.dedent(PYPROJECT + PACKAGE))
    play = machine.play()
    figure(f"an app that is a package: build {play.task('Build the release'):.1f} s")
    assert "tiny" in machine.shell(
        "/opt/asgi-production/uv-*/bin/uv -q pip list --python /srv/tiny/current/venv/bin/python"
    )
    assert machine.serves("pyproject")
    (folder / "pyproject.toml").unlink()


def test_a_lock_and_a_server_of_the_apps_own(machine, serving, source):
    """What the app has locked stays as it is; only what is missing to serve it is added."""
    lines = PYPROJECT.replace('"]', '", "gunicorn==25.1.0"]')
    folder = source("locked", **{"pyproject.toml": textwrap.dedent(lines)})
    subprocess.run(["docker", "cp", "--quiet", f"{folder}/.", "release1:/opt/lock"], check=True)
    machine.shell(
        "cd /opt/lock; SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt /opt/asgi-production/uv-*/bin/uv -q lock"
    )
    (folder / "uv.lock").write_text(machine.run("cat", "/opt/lock/uv.lock"))
    machine.variables = {"app_source": str(folder)}
    machine.play()
    assert machine.serves("locked")
    have = machine.shell("/opt/asgi-production/uv-*/bin/uv -q pip freeze --python /srv/tiny/current/venv/bin/python")
    assert "gunicorn==25.1.0" in have and "uvicorn-worker==0.4.0" in have
    for name in ("pyproject.toml", "uv.lock"):
        (folder / name).unlink()


def test_dependencies_that_cannot_be_had(machine, serving, source):
    folder = source("unhad", **{"requirements.txt": "no-such-package-asgi-production==1\n"})
    machine.variables = {"app_source": str(folder)}
    failure = machine.play(fails=True).failure
    assert "Installing the dependencies of requirements.txt failed, so nothing was changed" in failure
    assert "no-such-package-asgi-production" in failure
    machine.whole(serving.release)
    (folder / "requirements.txt").unlink()
    machine.variables = {"app_source": str(folder)}
    assert "The source has no uv.lock, requirements.txt or pyproject.toml" in machine.play(fails=True).failure
