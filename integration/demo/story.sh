# The story that ./dev demo tells: real jobs' tokens, the real command line, the real broker. Sourced by ./dev.
# Every step says what must come out and ends the demo with an error if something else does.

. integration/demo/ground.sh

chapter=0
chapter() {
  chapter=$((chapter + 1))
  printf '\n%s%d. %s%s\n' "$bold" "$chapter" "$1" "$plain"
}
fact() { printf '   %s%-10s%s %s\n' "$dim" "$1" "$plain" "$2"; }

# The surroundings of a job: nothing of this shell's.
job_env=()
job_number=0
new_job() {
  job_number=$((job_number + 1))
  mkdir -p "$work/job$job_number"
  job_env=(PATH="$target/debug:$pg_bin:$PATH" HOME="$work/job$job_number" DAYPASS_ADDR="$address" DAYPASS_CACERT="$ca"
    DAYPASS_CI_CACERT="$ca" DEMO_CANARIES="$work/canaries" DEMO_PYTHON="${aws_python:-}" DEMO_AWS="$root/integration/demo/aws.py")
  [ -z "$with_aws" ] || job_env+=(AWS_ENDPOINT_URL_STS="$aws_endpoint")
}

claims() {
  local claim
  for claim in "$@"; do printf '%s\n' --claim "$claim"; done
}

# A job on GitHub: it gets the means to ask for tokens, as from a runner.
github_job() {
  local arguments answer
  new_job
  mapfile -t arguments < <(claims "$@")
  answer=$("$broker_bin" dev job --dir "$work/ci" "${arguments[@]}")
  job_env+=(ACTIONS_ID_TOKEN_REQUEST_URL="$(json_field request_url <<<"$answer")")
  job_env+=(ACTIONS_ID_TOKEN_REQUEST_TOKEN="$(json_field request_token <<<"$answer")")
  fact job "GitHub, $*"
}

# A job on GitLab: its token is in its environment from the start.
gitlab_job() {
  local arguments
  new_job
  mapfile -t arguments < <(claims "$@")
  job_env+=(GITLAB_CI=true DAYPASS_ID_TOKEN="$("$broker_bin" dev token --dir "$work/ci" --kind gitlab --audience "$address" "${arguments[@]}")")
  fact job "GitLab, $*"
}

# Runs a command as the job, shows both, and keeps what came out in $output.
output=''
runs() {
  local status=0
  fact runs "$bold${*//"$root/"/./}$plain"
  (alone "${job_env[@]}" && exec "$@") >"$work/output" 2>&1 || status=$?
  output=$(cat "$work/output")
  cat "$work/output" >>"$work/transcript"
  sed "s/^/   $dim│$plain /" "$work/output"
  return $status
}
must() { runs "$@" || die "that should have worked; the broker said: $(tail -n 5 "$work/broker.log")"; }
must_fail() {
  local word=$1
  shift
  if runs "$@"; then die "that should have been refused"; fi
  grep -q "$word" <<<"$output" || die "that should have been refused as $word; the broker said: $(tail -n 5 "$work/broker.log")"
}

# Remembers a secret that must be found nowhere.
canary() { (umask 077 && cat >>"$work/canaries"); }

no_canary_sings() {
  local value place bird="$work/birds"
  grep -oE 'dps_[A-Za-z0-9_-]+' "$work/operator.session" | canary || true
  PGPASSWORD=$(cat "$work/pg/superuser.password") "$pg_bin/pg_dump" -h 127.0.0.1 -p "$pg_port" -U postgres daypass >"$work/database.sql"
  # In clear, and as PostgreSQL writes bytes.
  sort -u "$work/canaries" | while read -r value; do
    [ -z "$value" ] || printf '%s\n%s\n' "$value" "$(printf %s "$value" | od -An -v -tx1 | tr -d ' \n')"
  done >"$bird"
  [ -s "$bird" ] || die "the jobs left no secrets to look for"
  for place in "$work"/*.log "$work/pg/server.log" "$work/aws/log" "$work/transcript" "$work/database.sql"; do
    [ -e "$place" ] || continue
    ! grep -qFf "$bird" "$place" || die "a secret stands in $place"
    fact clean "${place#"$work"/} ($(wc -c <"$place") bytes)"
  done
  fact looked "for $(($(wc -l <"$bird") / 2)) values: passwords, keys, the stored secret, CI tokens, the operator's session"
  rm -f "$bird" "$work/canaries" "$work/database.sql"
}

operator_env() {
  new_job
  job_env+=(DAYPASS_OPERATOR_ADDR="$operator_address" DAYPASS_SESSION_FILE="$work/operator.session")
}

story() {
  local once=''
  case "${1:-}" in
  '') ;;
  --once) once=yes ;;
  *) die "./dev demo takes --once or nothing" ;;
  esac

  say "building"
  SQLX_OFFLINE=true cargo build --quiet --workspace
  start_ground

  chapter "An operator stores a secret"
  github_job repository=acme/platform repository_id=640001 event_name=workflow_dispatch environment=broker-operators
  job_env+=(DAYPASS_OPERATOR_ADDR="$operator_address" DAYPASS_SESSION_FILE="$work/operator.session")
  must daypass login --role operators
  (umask 077 && printf '{"username": "shop-ci", "password": "%s"}' "$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')" >"$work/registry.json")
  must daypass secret put secret/shop/registry --file "$work/registry.json"
  rm "$work/registry.json"

  chapter "A deploy job on main gets its three credentials, and uses each"
  github_job environment=production
  [ -n "$with_aws" ] && all=() || all=(-C database -C registry)
  job_env+=(DEMO_COPY="$work/copied.env")
  must daypass exec --role shop-deploy-prod "${all[@]}" -- "$root/integration/demo/deploy.sh"

  chapter "The job is over: the login it copied is refused"
  new_job
  must_fail 'authentication failed\|does not exist\|not permitted to log in' bash -c ". $work/copied.env && psql -XAtc 'select 1'"
  rm -f "$work/copied.env"
  [ -z "$with_aws" ] || fact note "AWS cannot take keys back: they end by themselves, and the answer says revocable: false"

  chapter "A pull request from a fork is denied, with the reason"
  github_job event_name=pull_request head_ref=patch-1 actor=stranger
  must_fail 'role_not_allowed\|event_not_allowed' daypass exec --role shop-deploy-prod -- "$root/integration/demo/deploy.sh"
  decision=$(grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' <<<"$output" | head -n1 || true)
  [ -n "$decision" ] || die "the refusal names no decision"
  fact "" "An operator looks the decision up:"
  operator_env
  must daypass audit explain "$decision"

  chapter "The same token a second time is denied"
  new_job
  (umask 077 && "$broker_bin" dev token --dir "$work/ci" --kind github --audience "$address" --claim environment=production >"$work/token")
  fact job "any machine, with a deploy job's token in a file"
  must daypass exec --role shop-deploy-prod -C registry --token-file "$work/token" -- "$root/integration/demo/deploy.sh"
  must_fail token_already_used daypass exec --role shop-deploy-prod -C registry --token-file "$work/token" -- "$root/integration/demo/deploy.sh"
  canary <"$work/token"
  rm "$work/token"

  chapter "A GitLab job gets its own"
  gitlab_job environment=production
  job_env+=(CUSTOMER=Radia)
  must daypass exec --role shop-gitlab-deploy -- "$root/integration/demo/deploy.sh"

  chapter "An internal deploy service, known to an OIDC issuer of its own, gets its own"
  new_job
  (umask 077 && "$broker_bin" dev token --dir "$work/ci" --kind generic --audience "$address" >"$work/token")
  fact job "deploy service svc-0042"
  must daypass exec --role internal-deploy --token-file "$work/token" -- "$root/integration/demo/deploy.sh"
  canary <"$work/token"
  rm "$work/token"

  chapter "The audit trail of it all, newest first"
  operator_env
  must daypass audit list --limit 40

  chapter "None of these secrets stands in a log, in the transcript above, or in the broker's database"
  no_canary_sings

  printf '\n%sEverything came out as told.%s\n' "$green$bold" "$plain"
  [ -n "$once" ] || stay
}

# Leaves everything running, with a file that makes another shell part of it.
stay() {
  cat >"$work/env" <<ENV
export PATH=$target/debug:$pg_bin:\$PATH
export DAYPASS_ADDR=$address DAYPASS_OPERATOR_ADDR=$operator_address DAYPASS_CACERT=$ca DAYPASS_CI_CACERT=$ca
ci_token() { daypass-broker dev token --dir $work/ci --audience $address "\$@"; }
ENV
  cat <<TXT

It stays up until you press Ctrl-C.
   jobs       $address
   operators  $operator_address
   metrics    http://127.0.0.1:$metrics_port/metrics
   issuer     $issuer/_services/token (as GitHub), $issuer (as GitLab), $issuer/deploy
   authority  $ca
   logs       $work/*.log

In another shell: ${bold}. $work/env${plain}, and then for example
   ${bold}ci_token --kind github --claim environment=production | daypass exec --role shop-deploy-prod -C database --token-file - -- psql -c 'select current_user'${plain}
   ${bold}ci_token --kind github --claim ref=refs/heads/mine | daypass exec --role shop-deploy-prod --token-file - -- env${plain}
   ${bold}DAYPASS_SESSION_FILE=$work/operator.session daypass audit list${plain}
TXT
  local pid
  while sleep 1; do
    for pid in "${started_pids[@]}"; do
      kill -0 "$pid" 2>/dev/null || die "something ended by itself; see $work/*.log"
    done
  done
}
