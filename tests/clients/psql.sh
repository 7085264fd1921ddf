#!/usr/bin/env bash
# psql against a server that holds tests/clients/events.ndjson.
# Usage: psql.sh HOST PORT USER TOKEN
set -euo pipefail

export PGHOST=$1 PGPORT=$2 PGUSER=$3 PGPASSWORD=$4 PGDATABASE=spendlake PGCLIENTENCODING=UTF8

ask() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$1"; }

expect() {
  local got
  got=$(ask "$1")
  if [ "$got" != "$2" ]; then
    echo "psql: $1"
    echo "expected: $2"
    echo "got:      $got"
    exit 1
  fi
}

# The output of the meta-command $1 matches $2, and it complains of nothing.
shows() {
  local got
  got=$(psql --no-psqlrc --set ON_ERROR_STOP=1 --command "$1" 2>&1) || { echo "psql: $1 failed: $got"; exit 1; }
  if ! grep -qE -- "$2" <<<"$got" || grep -qE "ERROR|FATAL" <<<"$got"; then
    echo "psql: $1 does not show $2:"
    echo "$got"
    exit 1
  fi
}

refused() {
  local got
  got=$(psql --no-psqlrc --set VERBOSITY=sqlstate --command "$1" 2>&1) && { echo "psql: $1 was run"; exit 1; }
  grep -q "$2" <<<"$got" || { echo "psql: $1 is refused by $got, not $2"; exit 1; }
}

expect "SELECT actual_api_cost FROM usage_events WHERE event_id = '1'" "0.000013500001"
expect "SELECT charged_cost, event_time FROM usage_events WHERE event_id = '2'" \
  "999999.000000000001|2026-11-21 08:00:00.123456+00"
expect "SELECT charged_cost IS NULL FROM usage_events WHERE event_id = '3'" "t"
expect "SELECT tags FROM usage_events WHERE event_id = '1'" '{"project":"a \"b\""}'
expect "SELECT sum(charged_cost) FROM usage_events" "999999.750000000001"
expect "SELECT count(*) FROM usage_daily" "3"
expect "SELECT current_user" "$3"

shows '\d' 'usage_events'
shows '\dt' 'public \| usage_events +\| table'
shows '\dv' 'organization_daily_stats +\| view'
shows '\dt+' 'usage_events'
shows '\d usage_events' 'charged_cost +\| numeric'
shows '\d usage_events' 'event_time +\| timestamp with time zone'
shows '\d+ usage_events' 'input_tokens +\| bigint'
shows '\d usage_daily' 'View "public.usage_daily"'
shows '\l' 'spendlake'
shows '\dn' 'public'
shows '\df' 'Name'
shows '\du' 'Role name'
shows '\di' 'Did not find any'
shows '\ds' 'Did not find any'
shows '\dp' 'usage_events'
shows '\conninfo' 'database "spendlake"'
shows '\timing' 'Timing'
shows "EXPLAIN SELECT count(*) FROM usage_events" 'plan'

# What psql asks when Tab is pressed after "SELECT * FROM usage_".
expect "SELECT c.relname, NULL::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND (c.relname) LIKE 'usage\_e%' AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog')
UNION ALL
SELECT NULL::pg_catalog.text, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname LIKE 'usage\_e%' AND n.nspname NOT LIKE E'pg\\\\_%'
LIMIT 1000" "usage_events|"

# Rows in portions.
got=$(psql --no-psqlrc --quiet --tuples-only --no-align --set FETCH_COUNT=2 --command "SELECT event_id FROM usage_events ORDER BY 1")
[ "$got" = $'1\n2\n3' ] || { echo "psql with FETCH_COUNT: $got"; exit 1; }

got=$(psql --no-psqlrc --command '\d nothing' 2>&1 || true)
grep -q "Did not find any relation" <<<"$got" || { echo "psql: \\d nothing: $got"; exit 1; }

refused "DROP TABLE usage_events" 25006
refused "\\copy usage_events TO '/dev/null'" 0A000
refused "SELECT * FROM nothing" 42P01
refused "SELECT nothing FROM usage_events" 42703
PGPASSWORD=wrong refused "SELECT 1" "password authentication failed"

echo "psql: ok"
