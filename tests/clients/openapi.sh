#!/usr/bin/env bash
# Schemathesis walks every operation of the OpenAPI document as each role, and
# once without a token: no answer is a server error, and each is as described.
# Usage: openapi.sh PATH_OF_SPENDLAKE [ROLE…]
# EXAMPLES (default 15) are the random requests of an operation; the seed is printed.
# What it needs is kept outside of the repository, in SPENDLAKE_TEST_COMPAT_DIR.
set -euo pipefail

spendlake=$(realpath "$1")
shift
roles=("$@")
[ ${#roles[@]} -gt 0 ] || roles=(nobody ingest member team_lead analyst organization_admin super_admin)

here=$(cd "$(dirname "$0")" && pwd)
tools=${SPENDLAKE_TEST_COMPAT_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spendlake-compat}
# That of the events.
organization=0190a3c2-7b1e-7c00-8000-000000000001
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
work=$(mktemp -d)
server=
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  server=
}
trap 'stop; rm -rf "$work"' EXIT

command -v python3 >/dev/null || { echo "python3 is missing: install Python 3 with venv"; exit 1; }
walker=$tools/schemathesis/bin/schemathesis
mkdir -p "$tools"
[ -x "$walker" ] || {
  python3 -m venv "$tools/schemathesis"
  "$tools/schemathesis/bin/pip" install --quiet "schemathesis>=4.32,<5"
}

# Where a role applies.
domain_of() {
  case $1 in
    super_admin) echo "--platform" ;;
    member) echo "--organization $organization --user ada" ;;
    team_lead) echo "--organization $organization --team search" ;;
    *) echo "--organization $organization" ;;
  esac
}

export SPENDLAKE_LOG=warn PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=openapi_hooks
failed=0
for role in "${roles[@]}"; do
  # Each role meets the same data: the one before may have forgotten people.
  data="$work/$role"
  "$spendlake" import --data-dir "$data" "$here/events.ndjson" >/dev/null
  header=()
  if [ "$role" != nobody ]; then
    # shellcheck disable=SC2046 # words on purpose
    token=$("$spendlake" token create --data-dir "$data" --name "$role" --role "$role" $(domain_of "$role") 2>/dev/null)
    header=(--header "Authorization: Bearer $token")
  fi
  "$spendlake" serve --data-dir "$data" --listen 127.0.0.1:0 >"$work/$role.log" 2>&1 &
  server=$!
  url=
  for _ in $(seq 300); do
    url=$(sed -n "s/^spendlake listens on //p" "$work/$role.log" 2>/dev/null || true)
    [ -z "$url" ] || break
    kill -0 "$server" 2>/dev/null || { cat "$work/$role.log"; exit 1; }
    sleep 0.1
  done
  echo "== $role"
  # It keeps notes where it runs.
  cd "$work"
  if ! timeout 900 "$walker" run "$here/../../docs/openapi.json" --url "$url" --checks "$checks" \
    --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-15}" --max-failures 20 \
    --request-timeout 30 --warnings off "${header[@]}" >"$work/$role.report" 2>&1; then
    cat "$work/$role.report"
    grep -v "^spendlake listens" "$work/$role.log" || true
    failed=1
  else
    tail -15 "$work/$role.report"
  fi
  stop
done
exit "$failed"
