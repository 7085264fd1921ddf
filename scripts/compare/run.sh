#!/usr/bin/env bash
# Measures Spendlake, and asks DuckDB and chDB the same questions of the same
# files. Prints a table; docs/figures.md says what each line means.
#
#   EVENTS=1000000 make compare             a small run
#   bash scripts/compare/run.sh --only questions,analyst
set -euo pipefail
cd "$(dirname "$0")/../.."

target="${CARGO_TARGET_DIR:-target}"
export PYTHONDONTWRITEBYTECODE=1

cargo build --release --locked

# Other engines live in an environment of their own; made again when the pins change.
venv=.venv-compare
pins=scripts/compare/requirements.txt
if ! cmp -s "$pins" "$venv/pins.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$pins"
  cp "$pins" "$venv/pins.txt"
fi

exec "$venv/bin/python" scripts/compare/main.py \
  --binary "$target/release/spendlake" \
  --events "${EVENTS:-10000000}" \
  --dir "${SPENDLAKE_BENCH_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spendlake/compare}" \
  "$@"
