#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The one-host stack as a plain script: `./setup.sh` in a folder with `settings`, `grants.sql` and `files/`. It may be run
# again: it compares before it writes, and restarts what it changed. What it cannot do: check mode, go back, remember.
set -eu
cd "$(dirname "$0")"
. ./settings
export DEBIAN_FRONTEND=noninteractive PIP_CERT=/etc/ssl/certs/ca-certificates.crt
release_folder=/srv/$app/releases/$release
postgres=/etc/postgresql/$postgres_version/main
todo=' '

# put DESTINATION MODE OWNER GROUP [WHAT TO DO]: write a file of files/ when it differs.
put() {
    if ! cmp -s "files$1" "$1" || [ "$(stat -c %a:%U:%G "$1")" != "$2:$3:$4" ]; then
        mkdir -p "$(dirname "$1")"
        install -m "$2" -o "$3" -g "$4" "files$1" "$1"
        echo "changed $1"
        todo="$todo${5:-} "
    fi
}
folder() {
    [ "$(stat -c %a:%U:%G "$1" 2>/dev/null)" = "$2:$3:$4" ] || { install -d -m "$2" -o "$3" -g "$4" "$1"; echo "changed $1"; }
}
wanted() { case $todo in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# Packages
# shellcheck disable=SC2086
if [ "$(dpkg-query -W -f '${db:Status-Status}\n' $packages 2>/dev/null | grep -c '^installed$')" != "$(echo $packages | wc -w)" ]; then
    apt-get -qq update
    apt-get -qq -y --no-install-recommends install $packages >/dev/null
    echo "changed packages"
fi

# Configuration
put /etc/apt/apt.conf.d/60asgi-upgrades 644 root root
put /etc/sysctl.d/60-asgi.conf 644 root root sysctl
put /etc/systemd/journald.conf.d/asgi.conf 644 root root systemd-journald.service
put "$postgres/conf.d/60-asgi-restart.conf" 644 root root postgresql
put "$postgres/conf.d/60-asgi-reload.conf" 644 root root postgresql-reload
put "$postgres/pg_hba.conf" 640 postgres postgres postgresql-reload
put /etc/redis/asgi.conf 640 root redis redis-server.service
put /etc/redis/asgi-users.conf 640 root redis redis-server.service
put /etc/systemd/system/redis-server.service.d/asgi.conf 644 root root 'units redis-server.service'
put /etc/systemd/system/memcached.service.d/asgi.conf 644 root root 'units memcached.service'
folder /etc/nginx/asgi.d 755 root root
put /etc/nginx/nginx.conf 644 root root nginx-reload
put /etc/nginx/snippets/asgi-forwarded.conf 644 root root nginx-reload
put "/etc/nginx/asgi.d/$app.conf" 644 root root nginx-reload
put /etc/systemd/system/nginx.service.d/asgi.conf 644 root root 'units nginx.service'
folder /var/www/acme 755 root root
put /var/www/asgi/unavailable.html 644 root root
put /var/www/asgi/unavailable.json 644 root root
if [ -e /etc/nginx/sites-enabled/default ]; then
    rm /etc/nginx/sites-enabled/default
    todo="${todo}nginx-reload "
fi

# Users
id "$app" >/dev/null 2>&1 || useradd --system --home-dir "/srv/$app" --no-create-home --shell /usr/sbin/nologin --user-group "$app"
id "${app}_build" >/dev/null 2>&1 ||
    useradd --system --home-dir "/var/cache/asgi-production/$app" --no-create-home --shell /usr/sbin/nologin --user-group "${app}_build"
case " $(id -nG "$app") " in *" redis "*) ;; *) usermod -aG redis "$app" ;; esac
case " $(id -nG www-data) " in *" $app "*) ;; *)
    usermod -aG "$app" www-data
    todo="${todo}nginx.service "
    ;;
esac

# The app's folders and units
folder "/srv/$app" 755 root root
folder "/srv/$app/releases" 755 root root
folder "$release_folder" 750 root "$app"
folder "$release_folder/app" 750 "${app}_build" "$app"
folder "$release_folder/venv" 750 "${app}_build" "$app"
folder "/var/cache/asgi-production/$app" 750 "${app}_build" "$app"
put "$release_folder/gate" 755 root root
put "$release_folder/start" 755 root root app
put "/etc/systemd/system/$app@.service" 644 root root 'units app'
put "/etc/systemd/system/$app.service" 644 root root units
put "$release_folder/environment" 600 root root app

# Services
if wanted units; then systemctl daemon-reload; fi
if wanted sysctl && [ "$kernel_settings_writable" = true ]; then systemctl restart systemd-sysctl.service; fi
if wanted postgresql; then
    systemctl restart "postgresql@$postgres_version-main.service"
elif wanted postgresql-reload; then
    systemctl reload "postgresql@$postgres_version-main.service"
fi
for unit in systemd-journald.service redis-server.service memcached.service nginx.service; do
    if wanted "$unit"; then systemctl restart "$unit"; fi
done
if wanted nginx-reload && ! wanted nginx.service; then
    nginx -t -q
    systemctl reload nginx.service
fi
systemctl -q is-enabled systemd-timesyncd.service || systemctl -q enable systemd-timesyncd.service
for unit in redis-server.service memcached.service nginx.service; do
    systemctl -q is-enabled "$unit" && systemctl -q is-active "$unit" || systemctl -q enable --now "$unit"
done
systemctl -q is-active "postgresql@$postgres_version-main.service"

# The database
sql() { (cd / && setpriv --reuid=postgres --regid=postgres --init-groups psql -X -q -A -t --set=ON_ERROR_STOP=1 "$@"); }
if [ "$(echo "SELECT count(*) FROM pg_roles, pg_database WHERE rolname IN ('$app', '${app}_owner') AND datname = '$app'" | sql)" != 2 ]; then
    sql <<SQL
CREATE ROLE ${app}_owner LOGIN PASSWORD '$owner_password';
CREATE ROLE $app LOGIN PASSWORD '$app_password';
CREATE DATABASE $app OWNER ${app}_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
SQL
    sql "$app" <grants.sql
    echo "changed database"
fi

# The release
uv=/opt/asgi-production/uv-$uv_version
if [ ! -x "$uv/bin/uv" ]; then
    python3 -m venv "$uv"
    "$uv/bin/pip" install --quiet --disable-pip-version-check "uv==$uv_version"
fi
wanted_commit=$(git ls-remote "$source" "$version^{}" "$version" | head -n 1 | cut -f 1)
as_builder() {
    setpriv --reuid="${app}_build" --regid="$app" --clear-groups env HOME="/var/cache/asgi-production/$app" \
        UV_CACHE_DIR="/var/cache/asgi-production/$app/uv" UV_NATIVE_TLS=true SSL_CERT_FILE=$PIP_CERT \
        UV_PROJECT_ENVIRONMENT="$release_folder/venv" "$@"
}
if [ "$(cat "$release_folder/REVISION" 2>/dev/null)" != "$wanted_commit" ]; then
    as_builder git clone --quiet --depth=1 --branch "$version" "$source" "$release_folder/app"
    (cd "$release_folder/app" && as_builder "$uv/bin/uv" sync --quiet --frozen --no-dev --compile-bytecode --python /usr/bin/python3)
    (
        set -a
        . "$release_folder/environment"
        DATABASE_URL="postgresql+asyncpg://${app}_owner:$owner_password@/$app?host=/run/postgresql"
        cd "$release_folder/app"
        setpriv --reuid="$app" --regid="$app" --init-groups $migrate
    )
    ln -sfn app "$release_folder/code"
    ln -sfn "/run/$app/$release" "$release_folder/run"
    ln -sfn "releases/$release" "/srv/$app/current"
    echo "$wanted_commit" >"$release_folder/REVISION"
    todo="${todo}app "
    echo "changed release"
fi
if wanted app; then systemctl restart "$app@$release.service"; fi
systemctl -q is-active "$app@$release.service" || systemctl start "$app@$release.service"
systemctl -q is-enabled "$app.service" || systemctl -q enable "$app.service"
curl --silent --fail --insecure --output /dev/null --retry 5 --retry-all-errors \
    --resolve "$domain:443:127.0.0.1" "https://$domain/health/ready"
