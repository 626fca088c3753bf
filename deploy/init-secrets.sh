#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts, once: what is there is left alone.
#   deploy/init-secrets.sh [FOLDER]     default: deploy/secrets
# The files must be readable for the containers' fixed users (999, 10001), the folder is closed to everybody else.
set -euo pipefail
folder=${1:-$(dirname "${BASH_SOURCE[0]}")/secrets}

random() { # 32 bytes as 64 hexadecimal digits, which need no escaping in a URL
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

make() { # NAME VALUE
    if [ -e "$folder/$1.txt" ]; then
        echo "kept $folder/$1.txt"
        return
    fi
    printf '%s\n' "$2" > "$folder/.$1.partial"
    chmod 0444 "$folder/.$1.partial"
    mv "$folder/.$1.partial" "$folder/$1.txt"
    echo "made $folder/$1.txt"
}

umask 077
mkdir -p "$folder"
chmod 0700 "$folder"
make postgres_password "$(random)"
make database_url "postgresql://veil:$(cat "$folder/postgres_password.txt")@postgres/veil"
make obscuring_secret "$(random)"
make grafana_password "$(random)"
