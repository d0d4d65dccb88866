# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of one app on one host: what is there, and the build. Private to this collection.

One pointer decides everything: ``/srv/<app>/current`` names the release whose socket nginx connects to and which starts
at boot. Whatever decides how a release runs stands in its own folder, so that nothing new can break the one before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import typing as t
import urllib.parse

NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
APPLICATION = re.compile(
    r"^(?:(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?FastAPI\(|(app|application)\s*(?::[^=\n]+)?=\s*\w[\w.]*\()", re.MULTILINE
)
ENTRYPOINT = re.compile(r"^\[tool\.fastapi\][^\[]*?^entrypoint\s*=\s*[\"']([\w.]+:\w+)[\"']", re.MULTILINE | re.DOTALL)
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
SECRET_NAME = re.compile(r"secret|passw|token|key|credential", re.IGNORECASE)
# How long git may take to name the commits of a repository; a host that does not answer is told of in seconds.
GIT_ANSWERS = 20
# git's credential helper: it gets them by its environment, so they are in no process list and in no file.
HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$ASGI_GIT_USER" "$ASGI_GIT_PASSWORD"; }; f'
# Prints those of the requirements whose distribution is not installed.
LACKING = r"""
import importlib.metadata, re, sys
def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()
known = {plain(found.metadata["Name"] or "") for found in importlib.metadata.distributions()}
print("\n".join(line for line in sys.argv[1:] if plain(re.match(r"[\w.-]*", line)[0]) not in known))
"""


class ReleaseError(Exception):
    """What a person must put right. Its text is a sentence for that person."""


class Done(t.NamedTuple):
    code: int
    said: str


def run(argv: list[str], timeout: float = 900, **options: t.Any) -> Done:
    """Run a program; its code and all that it said. Options are those of subprocess.Popen."""
    options.setdefault("stdin", subprocess.DEVNULL)
    try:
        program = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
    except (OSError, LookupError) as error:  # no such program, folder or user
        return Done(127, f"{argv[0]}: {getattr(error, 'strerror', None) or error}")
    with program:
        try:
            said = program.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)  # its children too, which would go on writing
            return Done(124, f"{argv[0]} did not end within {timeout:g} seconds")
    return Done(program.returncode, said.decode("utf-8", "replace").strip())


def last(text: str, lines: int = 25) -> str:
    return "\n".join(text.splitlines()[-lines:])


def environment_file(values: t.Mapping[str, str]) -> str:
    """systemd's EnvironmentFile format. In double quotes a backslash, a quote, a backtick and a dollar need care."""
    quoted = {key: re.sub(r'(["\\`$])', r"\\\1", value) for key, value in values.items()}
    return "".join(f'{key}="{value}"\n' for key, value in sorted(quoted.items()))


def variables(text: str) -> dict[str, str]:
    """An environment from JSON: numbers as they are written, true and false in lower case, without what is null."""
    found = {}
    for key, value in json.loads(text or "{}").items():
        if not VARIABLE.fullmatch(key):
            raise ReleaseError(f"app_environment: {key!r} can't be the name of a variable: use letters, digits and _.")
        if value is not None:
            found[key] = value if isinstance(value, str) else json.dumps(value)
        if "\0" in found.get(key, ""):
            raise ReleaseError(f"app_environment: the value of {key} has a NUL character, which no variable can hold.")
    return found


def read(path: str) -> str:
    """A file's text; nothing where there is none."""
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        open(path, encoding="utf-8", errors="replace") as f,
    ):
        return f.read()
    return ""


def find_application(folder: str, name: str) -> str:
    """module:variable of the FastAPI application: what pyproject.toml says, else the usual places."""
    found = ENTRYPOINT.search(read(f"{folder}/pyproject.toml"))
    if found:
        return found[1]
    packages = ["", "app/", f"{name}/", "src/"]
    files = [f"{package}{stem}.py" for package in packages for stem in ("main", "app", "api", "asgi")]
    for file in files:
        found = APPLICATION.search(read(f"{folder}/{file}"))
        if found:
            return f"{file[:-3].replace('/', '.')}:{found[1] or found[2]}"
    raise ReleaseError(
        f"No FastAPI application was found in {', '.join(files)}: set app_module, such as app_module: shop.main:app."
    )


def sync(folder: str) -> None:
    """See that the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def replace_link(path: str, target: str) -> None:
    """Point a link elsewhere in one step, for good."""
    unlink(f"{path}.new")
    os.symlink(target, f"{path}.new")
    os.rename(f"{path}.new", path)
    sync(os.path.dirname(path))


def unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def write(path: str, text: str, mode: int) -> None:
    """Replace a file in one step; it is never readable to more than mode allows."""
    unlink(f"{path}.new")
    handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        os.fchmod(handle, mode)
        stream.write(text)
        stream.flush()
        os.fsync(handle)
    os.rename(f"{path}.new", path)
    sync(os.path.dirname(path))


def make_folder(path: str, owner: str, group: str, mode: int = 0o750) -> None:
    """A folder with this very mode, whatever the umask is."""
    os.mkdir(path, 0o700)
    shutil.chown(path, owner, group)
    os.chmod(path, mode)


class Builder:
    """What is on a host of an app, and the build of a release.

    ``settings`` are the module's options; ``root`` moves every folder, for unit tests.
    """

    def __init__(self, settings: dict, root: str = "", programs: t.Callable[..., Done] = run) -> None:
        if not NAME.fullmatch(settings["name"]):
            raise ReleaseError(f"name is {settings['name']!r}: use up to 24 lower-case letters, digits and _.")
        self.settings, self.root, self.programs = settings, root, programs
        self.app: str = settings["name"]
        self.home = f"{root}/srv/{self.app}"
        self.cache = f"{root}/var/cache/asgi-production/{self.app}"
        self.marker = f"{self.home}/.activating"
        self.plain = variables(settings.get("environment", ""))
        self.secrets = variables(settings.get("secrets", ""))
        self.migration = variables(settings.get("migrate_environment", ""))
        self.building = variables(settings.get("build_environment", ""))
        self.held: tuple[int, ...] = ()

    def run(self, argv: list[str], **options: t.Any) -> Done:
        return self.programs(argv, pass_fds=self.held, **options)

    def folder(self, release: str) -> str:
        return f"{self.home}/releases/{release}"

    def unit(self, release: str) -> str:
        return f"{self.app}@{release}.service"

    # -- what is there

    def current(self) -> str:
        """The id of the release that the pointer names; nothing before the first one."""
        with contextlib.suppress(FileNotFoundError):
            return os.path.basename(os.readlink(f"{self.home}/current"))
        return ""

    def about(self, release: str) -> dict:
        return json.loads(read(f"{self.folder(release)}/release.json") or "{}") if release else {}

    def history(self) -> list[dict]:
        """What has served, the oldest first."""
        return [json.loads(line) for line in read(f"{self.home}/history.jsonl").splitlines() if line.endswith("}")]

    def unfinished(self) -> dict:
        """What a run that was killed was about to activate, and what served before; nothing when all runs ended."""
        return json.loads(read(self.marker) or "{}")

    def complete(self) -> list[str]:
        """Releases that were built to their end and are not known to fail, the newest first."""
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(f"{self.home}/releases")
            return sorted((name for name in names if os.path.exists(f"{self.folder(name)}/.complete")), reverse=True)
        return []

    def running(self, *states: str) -> list[str]:
        """Releases whose instance is in one of these states, as systemd's column ACTIVE names them."""
        listing = ["systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", f"{self.app}@*.service"]
        found = [line.split() for line in self.run(listing).said.splitlines()]
        return [line[0].split("@", 1)[1][: -len(".service")] for line in found if len(line) > 3 and line[2] in states]

    def fingerprint(self, revision: str) -> str:
        """All that decides how a release runs: when any of it differs, another release is made, also for a setting."""
        python = self.settings["python"]
        version = self.run([python, "-c", "import sys; print(sys.version_info[:2])"])
        if version.code:
            raise ReleaseError(f"app_python is {python!r}, which does not run on this host: {last(version.said, 3)}")
        keys = ("version", "subfolder", "module", "requirements", "server_requirements", "migrate_command", "scripts")
        parts = [revision, python, version.said, [self.settings[key] for key in keys]]
        parts += [read(f"{self.root}/etc/systemd/system/{self.app}@.service"), self.plain, self.secrets]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    # -- step 1: build

    def build(self, check_mode: bool = False) -> dict:
        """Have the wanted release on disk. Nothing runs yet and nothing that runs is touched."""
        current = self.current()
        report = {"changed": True, "due": True, "release": "", "current": current, "revision": ""}
        if check_mode and not self.settings["revision"] and not os.path.isdir(self.cache):
            return report  # a fresh host has neither git nor the user that asks by it
        report["revision"] = revision = self.settings["revision"] or self.resolve()
        wanted = self.fingerprint(revision)
        if self.about(current).get("fingerprint") == wanted:
            due = current not in self.running("active") or bool(self.unfinished())
            return dict(report, changed=due, due=due, release=current)
        for release in self.complete():
            if self.about(release).get("fingerprint") == wanted:
                return dict(report, release=release)
        if check_mode:
            return report
        if self.settings["local"] and not self.settings["archive"]:
            return dict(report, wants_archive=True)
        return dict(report, release=self.make(revision, wanted))

    def resolve(self) -> str:
        """The commit that app_version names in the remote repository."""
        version = self.settings["version"] or "HEAD"
        if COMMIT.fullmatch(version):
            return version
        found = self.names(version, f"{version}^{{}}")
        for name in (f"refs/tags/{version}^{{}}", f"refs/tags/{version}", f"refs/heads/{version}", version):
            if name in found:
                return found[name]
        if version == "HEAD":
            raise ReleaseError(f"app_source {self.settings['source']} has no commit yet: push one, or set app_version.")
        raise ReleaseError(
            f"app_version is {version!r}, but {self.settings['source']} has no such tag or branch: name one, or a "
            "whole commit id of 40 digits."
        )

    def names(self, *patterns: str) -> dict[str, str]:
        """Names of the remote repository and their commits."""
        done = self.git("ls-remote", "--", self.settings["source"], *patterns, timeout=GIT_ANSWERS)
        if done.code:
            words = self.scrub(last(done.said, 5))
            raise ReleaseError(f"git can't read app_source {self.settings['source']} from this host: {words}")
        lines = [line.split(None, 1) for line in done.said.splitlines() if COMMIT.match(line)]
        return {name: commit for commit, name in lines}

    def git(self, *argv: str, **options: t.Any) -> Done:
        """Run git as the builder."""
        config = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "60"}
        user, found, password = self.settings["credentials"].partition(":")
        secret = {}
        if user or found:
            config["credential.helper"] = HELPER
            secret = {"ASGI_GIT_USER": urllib.parse.unquote(user), "ASGI_GIT_PASSWORD": urllib.parse.unquote(password)}
        numbered = {}
        for index, (key, value) in enumerate(config.items()):
            numbered.update({f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value})
        env = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(len(config)), **numbered, **secret}
        return self.as_builder(["git", *argv], env=env, **options)

    def as_builder(self, argv: list[str], env: t.Optional[dict[str, str]] = None, **options: t.Any) -> Done:
        """Run as the user that owns the code and cannot read the app's environment."""
        known = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": self.cache,
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": f"{self.root}/usr/local/lib/asgi-production/{self.app}/gitconfig",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10",
            "UV_CACHE_DIR": f"{self.cache}/uv",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "true",
            "SSL_CERT_FILE": CERTIFICATES,
            "PIP_CERT": CERTIFICATES,
            **self.building,
            **(env or {}),
        }
        who = {"user": f"{self.app}_build", "group": self.app, "extra_groups": [], "umask": 0o027, "cwd": self.cache}
        return self.run(argv, env=known, **{**who, **options})

    def must(self, done: Done, what: str) -> None:
        if done.code:
            raise ReleaseError(f"{what} failed, so nothing was changed:\n{self.scrub(last(done.said))}")

    def make(self, revision: str, fingerprint: str) -> str:
        """Build a release in its final place, and mark it complete."""
        kept = {self.current(), *self.complete(), *self.running("active", "activating", "deactivating", "reloading")}
        for name in {*os.listdir(f"{self.home}/releases")} - kept:
            shutil.rmtree(self.folder(name))  # left by a build that was killed, or of a release that failed
        release = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.{revision.rpartition('-')[2][:8]}"
        folder = self.folder(release)
        make_folder(folder, "root", self.app)
        try:
            self.fill(folder, release, revision)
            about = {
                "id": release,
                "revision": revision,
                "version": self.version(revision),
                "fingerprint": fingerprint,
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "source": self.settings["source"],
            }
            write(f"{folder}/release.json", json.dumps(about, indent=1), 0o600)
            write(f"{folder}/.complete", "", 0o644)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return release

    def version(self, revision: str) -> str:
        return self.settings["version"] or revision[:12]

    def fill(self, folder: str, release: str, revision: str) -> None:
        """Code, virtual environment, settings and links of a release."""
        for part in ("app", "venv"):
            make_folder(f"{folder}/{part}", f"{self.app}_build", self.app)
        self.unpack(f"{folder}/app", revision)
        code = os.path.normpath(f"{folder}/app/{self.settings['subfolder']}")
        if not os.path.isdir(code) or not f"{code}/".startswith(f"{folder}/app/"):
            raise ReleaseError(f"app_subfolder is {self.settings['subfolder']!r}, but the source has no such folder.")
        module = self.settings["module"] or find_application(code, self.app)
        self.install(code, f"{folder}/venv")
        values = {
            "PATH": f"{self.folder(release)}/venv/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",  # what an app printed before it died must be in the journal
            "APP_VERSION": self.version(revision),
            **self.plain,
            **self.secrets,
            "ASGI_APPLICATION": module,
        }
        write(f"{folder}/environment", environment_file(values), 0o600)
        for name, text in self.settings["scripts"].items():
            write(f"{folder}/{name}", text, 0o755)
        os.symlink(os.path.relpath(code, folder), f"{folder}/code")
        if os.path.isdir(f"{code}/static"):
            os.symlink("code/static", f"{folder}/static")
        os.symlink(f"/run/{self.app}/{release}", f"{folder}/run")

    def unpack(self, folder: str, revision: str) -> None:
        """The source, without its history."""
        if self.settings["archive"]:
            with open(self.settings["archive"], "rb") as stream:
                self.must(self.as_builder(["tar", "-xzf", "-", "-C", folder], stdin=stream), "Unpacking the source")
            return
        repository, source = f"{self.cache}/git", self.settings["source"]
        if COMMIT.fullmatch(self.settings["version"]):
            self.names("HEAD")  # nobody has asked the host yet whether it answers
        shutil.rmtree(repository, ignore_errors=True)  # a fetch that was killed leaves locks
        self.must(self.git("init", "--quiet", "--bare", repository), "git init")
        at = ["-C", repository]
        options = {"timeout": self.settings["build_timeout"]}
        fetched = self.git(*at, "fetch", "--quiet", "--depth=1", "--", source, revision, **options)
        if fetched.code:  # some servers hand out branches and tags only
            fetched = self.git(*at, "fetch", "--quiet", "--tags", "--", source, "+refs/heads/*:refs/heads/*", **options)
        self.must(fetched, f"git fetch {source}")
        if self.git(*at, "cat-file", "-e", f"{revision}^{{commit}}").code:
            raise ReleaseError(f"app_version is {revision!r}, but {source} has no such commit.")
        self.must(self.git(*at, "archive", f"--output={folder}/.source.tar", revision), "git archive")
        self.must(self.as_builder(["tar", "-xf", f"{folder}/.source.tar", "-C", folder]), "Unpacking the source")
        os.unlink(f"{folder}/.source.tar")
        shutil.rmtree(repository)

    def install(self, code: str, venv: str) -> None:
        """The virtual environment, in its final place: one that is moved later is broken."""
        uv, python = self.uv(), f"{venv}/bin/python"
        options = {"cwd": code, "timeout": self.settings["build_timeout"]}
        make = [uv, "venv", "--quiet", "--allow-existing", "--python", self.settings["python"], venv]
        self.must(self.as_builder(make, **options), "uv venv")
        pip = [uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode"]
        requirements, env = self.settings["requirements"] or self.requirements(code), {}
        if os.path.basename(requirements) == "uv.lock":
            argv = [uv, "sync", "--quiet", "--frozen", "--no-dev", "--compile-bytecode"]
            env = {"UV_PROJECT_ENVIRONMENT": venv, "UV_PYTHON": python}
        elif requirements == "pyproject.toml" and "[build-system]" in read(f"{code}/pyproject.toml"):
            argv = [*pip, "--editable", "."]
        else:
            argv = [*pip, "--requirements", requirements]
        done = self.as_builder(argv, env=env, **options)
        self.must(done, f"Installing the dependencies of {requirements}")
        done = self.as_builder([python, "-c", LACKING, *self.settings["server_requirements"]], cwd="/")
        self.must(done, "Looking for the server")
        if done.said:
            self.must(self.as_builder([*pip, *done.said.splitlines()], **options), "Installing the server")
        unlink(f"{venv}/.lock")  # uv's own, writable for everybody
        # A file that does not compile, such as a template of Python code, need not be one that is imported.
        self.as_builder([python, "-m", "compileall", "-q", "."], **options)

    @staticmethod
    def requirements(code: str) -> str:
        for name in ("uv.lock", "requirements.txt", "pyproject.toml"):
            if os.path.exists(f"{code}/{name}"):
                return name
        raise ReleaseError(
            "The source has no uv.lock, requirements.txt or pyproject.toml: add one, or set app_requirements or "
            "app_subfolder."
        )

    def uv(self) -> str:
        """uv of the pinned version, in a folder of its own."""
        version = self.settings["uv_version"]
        folder = f"{self.root}/opt/asgi-production/uv-{version}"
        if not os.path.exists(f"{folder}/.complete"):
            known = {"PATH": "/usr/bin:/bin", "HOME": "/root", "PIP_CERT": CERTIFICATES, **self.building}
            options = {"env": known, "umask": 0o022}
            shutil.rmtree(folder, ignore_errors=True)
            self.must(self.run(["/usr/bin/python3", "-m", "venv", folder], **options), "Making a folder for uv")
            pip = [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
            self.must(self.run([*pip, "--only-binary=:all:", f"uv=={version}"], **options), "Installing uv")
            write(f"{folder}/.complete", "", 0o644)
        return f"{folder}/bin/uv"

    def scrub(self, text: str) -> str:
        """Programs may print their environment: take the secrets out. Very short ones would blank half the text."""
        named = [value for key, value in self.plain.items() if SECRET_NAME.search(key)]
        user, _colon, password = self.settings["credentials"].partition(":")
        words = {*named, *self.secrets.values(), *self.migration.values(), password or user}
        for value in [*words, *self.plain.values(), *self.building.values()]:
            words.update(re.findall(r"://[^:@/\s]*:([^@/\s]+)@", value))
        words |= {urllib.parse.unquote(word) for word in words}
        words = {line.strip() for word in words for line in (word, *word.splitlines())}
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "********") if len(word) >= 6 else text
        return re.sub(r"(\w://)[^@/\s]+@", r"\1", text)  # credentials in any other URL
