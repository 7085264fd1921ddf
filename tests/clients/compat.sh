#!/usr/bin/env bash
# Runs real clients against a server with a small known data set.
# Usage: compat.sh PATH_OF_SPENDLAKE [CLIENT…]   (psql python node jdbc flight; all by default)
# What the clients need is kept outside of the repository, in SPENDLAKE_TEST_COMPAT_DIR.
set -euo pipefail

spendlake=$(realpath "$1")
shift
clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(psql python node jdbc flight)

here=$(cd "$(dirname "$0")" && pwd)
tools=${SPENDLAKE_TEST_COMPAT_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spendlake-compat}
jar=${SPENDLAKE_TEST_JDBC_JAR:-/usr/share/java/postgresql.jar}
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

needs() {
  command -v "$1" >/dev/null || { echo "$1 is missing: $2"; exit 1; }
}

install_python() {
  needs python3 "install Python 3 with venv"
  [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
  "$tools/venv/bin/python" -c "import psycopg, asyncpg, sqlalchemy, pg8000" 2>/dev/null ||
    "$tools/venv/bin/pip" install --quiet "psycopg[binary]>=3.2,<4" "asyncpg>=0.30,<1" "sqlalchemy>=2,<3" "pg8000>=1.31,<2"
}

install_flight() {
  needs python3 "install Python 3 with venv"
  [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
  "$tools/venv/bin/python" -c "import adbc_driver_flightsql, pyarrow" 2>/dev/null ||
    "$tools/venv/bin/pip" install --quiet "adbc-driver-flightsql>=1.5,<2" "adbc-driver-manager>=1.5,<2" "pyarrow>=18"
}

install_node() {
  needs npm "install Node.js"
  [ -d "$tools/node_modules/pg" ] || npm install --silent --no-audit --no-fund --prefix "$tools" "pg@^8"
}

mkdir -p "$tools"
data="$work/data"
export SPENDLAKE_LOG=warn
token=$("$spendlake" token create --data-dir "$data" --name compat --role analyst --platform --scope sql:read 2>/dev/null)
user=$(cut -d_ -f2 <<<"$token")
"$spendlake" import --data-dir "$data" "$here/events.ndjson" >/dev/null

free_port() {
  python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
}
port=$(free_port)
flight_port=$(free_port)
"$spendlake" serve --data-dir "$data" --listen 127.0.0.1:0 --pg-listen "127.0.0.1:$port" \
  --flight-listen "127.0.0.1:$flight_port" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 300); do
  if PGPASSWORD=$token psql "host=127.0.0.1 port=$port user=$user dbname=spendlake" -Atc "SELECT 1 FROM usage_events LIMIT 1" >/dev/null 2>&1; then
    break
  fi
  kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done

failed=0
run() { run_at "$port" "$@"; }
run_at() {
  local at=$1
  shift
  if ! timeout 300 "$@" 127.0.0.1 "$at" "$user" "$token"; then
    echo "FAILED: $*"
    failed=1
  fi
}

for client in "${clients[@]}"; do
  case $client in
    psql)
      needs psql "install postgresql-client"
      run bash "$here/psql.sh"
      ;;
    python)
      install_python
      run "$tools/venv/bin/python" "$here/psycopg3.py"
      run "$tools/venv/bin/python" "$here/asyncpg_client.py"
      run "$tools/venv/bin/python" "$here/sqlalchemy_reflection.py"
      ;;
    node)
      install_node
      NODE_PATH="$tools/node_modules" run node "$here/node_pg.js"
      ;;
    jdbc)
      needs java "install a JDK, 17 or newer"
      [ -f "$jar" ] || { echo "$jar is missing: install libpostgresql-jdbc-java"; exit 1; }
      run java -cp "$jar" "$here/Jdbc.java"
      ;;
    flight)
      install_flight
      run_at "$flight_port" "$tools/venv/bin/python" "$here/flight_sql.py"
      ;;
    *)
      echo "unknown client $client"
      exit 1
      ;;
  esac
done
[ "$failed" -eq 0 ] || { echo "the server's log:"; cat "$work/log"; }
exit "$failed"
