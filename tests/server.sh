# shellcheck shell=bash
# Sourced by the scripts under tests/: the binary to test, and one running server at a time.
# Needs bash. Everything it creates is under $WORK, which is removed when the script ends.

set -euo pipefail

REPO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$(mktemp -d)
PULK_PID=""

# The binary under test: $PULK_BIN, or a release build of this checkout.
find_pulk() {
    if [ -z "${PULK_BIN:-}" ]; then
        cargo build --release --locked --manifest-path "$REPO_ROOT/Cargo.toml" >&2
        PULK_BIN="${CARGO_TARGET_DIR:-$REPO_ROOT/target}/release/pulk"
    fi
    [ -x "$PULK_BIN" ] || { echo "no executable at $PULK_BIN" >&2; return 1; }
}

# start_pulk DATA_DIR [ARGUMENT ...]: starts `pulk serve` on a free port of the loopback address.
# Sets PULK_PID, PULK_ADDR (host:port) and PULK_LOG.
start_pulk() {
    local data=$1; shift
    PULK_LOG="$WORK/pulk.$(date +%s%N).log"
    : >"$PULK_LOG"
    "$PULK_BIN" serve --data "$data" --listen 127.0.0.1:0 "$@" >"$PULK_LOG" 2>&1 &
    PULK_PID=$!
    local waited=0
    until PULK_ADDR=$(sed -n 's/.*pulk listening on http:\/\/\([0-9.]*:[0-9]*\).*/\1/p' "$PULK_LOG" | head -1) && [ -n "$PULK_ADDR" ]; do
        kill -0 "$PULK_PID" 2>/dev/null || { echo "pulk ended at start:" >&2; cat "$PULK_LOG" >&2; return 1; }
        waited=$((waited + 1))
        [ "$waited" -lt 1500 ] || { echo "pulk did not log that it listens:" >&2; cat "$PULK_LOG" >&2; return 1; }
        sleep 0.02
    done
}

# Asks the server to stop, waits for it, and returns its exit code.
stop_pulk() {
    [ -n "$PULK_PID" ] || return 0
    local pid=$PULK_PID code=0
    PULK_PID=""
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || code=$?
    return "$code"
}

# Kills the server, as a crash would.
kill_pulk() {
    [ -n "$PULK_PID" ] || return 0
    local pid=$PULK_PID
    PULK_PID=""
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# Runs a network install, and retries it once.
retry_once() {
    "$@" || { echo "once more: $*" >&2; sleep 3; "$@"; }
}

# A script with more to clean up defines before_end, which runs before $WORK is removed.
end_of_script() {
    local code=$?
    if declare -F before_end >/dev/null; then before_end || true; fi
    [ -z "$PULK_PID" ] || kill -KILL "$PULK_PID" 2>/dev/null || true
    rm -rf "$WORK" || true
    exit "$code"
}
trap end_of_script EXIT
