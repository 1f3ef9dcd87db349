#!/usr/bin/env bash
# What a deploy job does with its three credentials. It finds them in its environment, and nowhere else.
set -euo pipefail

if [ -n "${PGUSER:-}" ]; then
  echo "database   psql as $(psql -XAtc 'select current_user')"
  psql -XAtq -F ' ' -c "insert into orders (customer, total) values ('${CUSTOMER:-Katherine}', 42) returning 'new order', id" \
    -c "select 'orders now', count(*) from orders" | sed 's/^/           /'
  echo "           may it make tables? $(psql -XAtc 'create table mine ()' 2>&1 | sed 's/^ERROR: *//; q')"
fi
if [ -n "${AWS_ACCESS_KEY_ID:-}" ]; then
  echo "cloud      key ${AWS_ACCESS_KEY_ID:0:8}…, GetCallerIdentity:"
  printf '           %s\n' "$("$DEMO_PYTHON" "$DEMO_AWS" whoami)"
fi
if [ -n "${REGISTRY_PASSWORD:-}" ]; then
  echo "registry   user ${REGISTRY_USERNAME:-?}, password ${REGISTRY_PASSWORD:0:4}…"
fi

# For the demo's last chapter, which looks for these values where they must not stand.
if [ -n "${DEMO_CANARIES:-}" ]; then
  for name in PGPASSWORD AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN REGISTRY_PASSWORD; do
    [ -z "${!name:-}" ] || printf '%s\n' "${!name}" >>"$DEMO_CANARIES"
  done
fi

# A careless job: it keeps a copy of its login.
if [ -n "${DEMO_COPY:-}" ]; then
  (umask 077 && printf 'export PGUSER=%q PGPASSWORD=%q PGHOST=%q PGPORT=%q PGDATABASE=%q\n' \
    "$PGUSER" "$PGPASSWORD" "$PGHOST" "$PGPORT" "$PGDATABASE" >"$DEMO_COPY")
fi
