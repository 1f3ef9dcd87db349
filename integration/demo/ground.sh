# The demo's ground: PostgreSQL, a CI issuer, AWS's double, the starter policies, the broker. Sourced by ./dev.

# Starts a program in the background; its output goes to $work/NAME.log.
background() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  started_pids+=($!)
}

# Waits until a file holds a line that matches, or says what the program said instead.
await_line() {
  local name=$1 pattern=$2 _
  for _ in $(seq 300); do
    grep -q "$pattern" "$work/$name.log" 2>/dev/null && return
    sleep 0.1
  done
  die "$name did not start:
$(tail -n 20 "$work/$name.log")"
}

# The status code of a plain HTTP GET.
http_status() {
  local port=$1 path=$2 status=''
  {
    exec 9<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&9
    read -r -t 3 _ status _ <&9 || true
    exec 9>&-
  } 2>/dev/null
  echo "$status"
}

json_field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }

# Leaves the shell with these variables and no others. Unlike `env`, it shows their values to nobody who runs ps.
alone() {
  local name
  for name in $(compgen -e); do unset "$name"; done
  for name in "$@"; do export "${name?}"; done
}

# A port that people remember, if nobody has it yet.
port_or_free() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then free_port; else echo "$1"; fi
}

start_ground() {
  workspace
  broker_bin=$target/debug/daypass-broker
  issuer_port=$(port_or_free 9443)
  native_port=$(port_or_free 8443)
  operator_port=$(port_or_free 8444)
  metrics_port=$(port_or_free 9090)
  address=https://localhost:$native_port
  operator_address=https://localhost:$operator_port
  issuer=https://localhost:$issuer_port

  say "secrets and certificates"
  "$broker_bin" dev secrets --dir "$work/secrets" broker/root.key broker/database.password broker/shop.password
  "$broker_bin" dev certificate --dir "$work/ci" --out "$work/secrets/broker/tls" --name localhost --name 127.0.0.1 >/dev/null
  ca=$work/ci/ca.pem

  say "PostgreSQL from $pg_bin: the broker's database and the shop's"
  background postgres "$broker_bin" dev postgres --dir "$work/pg"
  await_line postgres '"port"'
  pg_port=$(json_field port <"$work/postgres.log")
  PGPASSWORD=$(cat "$work/pg/superuser.password")
  export PGPASSWORD
  DAYPASS_PASSWORD_FILE=$work/secrets/broker/database.password psql_do postgres -f deploy/database.sql
  SHOP_ADMIN_PASSWORD_FILE=$work/secrets/broker/shop.password psql_do postgres -f deploy/shop.sql
  unset PGPASSWORD

  say "a CI issuer that plays GitHub, GitLab and a deploy service: $issuer"
  background issuer "$broker_bin" dev issuer --dir "$work/ci" --listen "127.0.0.1:$issuer_port" --name localhost
  await_line issuer '"base"'

  if start_ministack; then
    say "AWS's double: $aws_endpoint"
    with_aws=yes
  else
    say "${yellow}no AWS double could be fetched from PyPI: the story goes on without the cloud credential${plain}"
    with_aws=''
  fi

  say "the broker: $address, for operators $operator_address"
  cp -r policies "$work/policies"
  sed -e "s#https://ci:8443#$issuer#; s#https://localhost:8443#$address#; s#^ca_file .*#ca_file               = \"$ca\"#" \
    deploy/compose/issuers.toml >"$work/policies/issuers.toml"
  broker_configuration >"$work/daypass.toml"
  "$broker_bin" migrate --database-url "postgres://postgres@127.0.0.1:$pg_port/daypass" --password-file "$work/pg/superuser.password" \
    --serving-role daypass || die "the schema could not be made"
  local ambient=()
  [ -z "$with_aws" ] || mapfile -t ambient <"$work/aws.env"
  background broker serve_alone "${ambient[@]}"
  local _
  for _ in $(seq 100); do
    [ "$(http_status "$metrics_port" /readyz)" = 200 ] && return
    kill -0 "${started_pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  die "the broker did not get ready:
$(tail -n 30 "$work/broker.log")"
}

serve_alone() {
  alone PATH=/usr/bin:/bin HOME="$work" "$@"
  exec "$broker_bin" serve --config "$work/daypass.toml"
}

broker_configuration() {
  cat <<TOML
[listen]
native   = "127.0.0.1:$native_port"
operator = "127.0.0.1:$operator_port"
metrics  = "127.0.0.1:$metrics_port"
tls      = { cert = "secrets/broker/tls.pem", key = "secrets/broker/tls.key" }

[database]
url           = "postgres://daypass@127.0.0.1:$pg_port/daypass"
password_file = "secrets/broker/database.password"

[seal]
file = "secrets/broker/root.key"

[policy]
source = "folder"
path   = "policies"

[connection.shop]
engine        = "postgres"
url           = "postgres://daypass_admin@127.0.0.1:$pg_port/shop"
password_file = "secrets/broker/shop.password"
allowed_roles = ["shop-*"]

[connection.shop.statements.readwrite]
create = ["grant shop_readwrite to {{name}}"]
TOML
  [ -z "$with_aws" ] || cat <<TOML

[engine.aws]
endpoint_url = "$aws_endpoint"
region       = "eu-central-1"
TOML
}
