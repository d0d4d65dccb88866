# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the scripts of this folder share. Sourced, never run.

# A failure inside $(...) ends the script too.
shopt -s inherit_errexit

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

stop() {
    say "$*"
    exit 1
}

is_root() { [[ $(id -u) == 0 ]]; }

may_be_root() { is_root || sudo -n true 2>/dev/null; }

as_root() {
    if is_root; then "$@"; else sudo -n "$@"; fi
}

# Install Debian packages. The lists are fetched first: on a fresh machine they are empty or old.
apt_install() {
    [[ -e /etc/debian_version ]] || stop "$* must be installed, which this script can do on Debian and Ubuntu only: please install it by hand."
    may_be_root || stop "$* must be installed, which needs root: run 'sudo apt-get install $*', then try again."
    say "installs $*"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >/dev/null
}
