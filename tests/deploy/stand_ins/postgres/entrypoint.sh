#!/usr/bin/env bash
# What the official image's entrypoint does for the variables that docker-compose.yml sets.
set -euo pipefail
umask 077
if [ "$(id -u)" = 0 ]; then
    echo "this stand-in expects 'user: 999:999'" >&2
    exit 1
fi
if [ "${1:-}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(cat "${POSTGRES_PASSWORD_FILE:?}")
    # shellcheck disable=SC2086 # several options, as in the official image
    initdb --username="${POSTGRES_USER:?}" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    if [ "${POSTGRES_DB:-$POSTGRES_USER}" != postgres ]; then
        PGPASSWORD=$password createdb --username="$POSTGRES_USER" --maintenance-db=postgres "${POSTGRES_DB:-$POSTGRES_USER}"
    fi
    pg_ctl --wait --mode=fast stop
fi
# The official image's default listens on every address.
exec "$@" -c listen_addresses='*'
