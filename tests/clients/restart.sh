# shellcheck shell=bash
# Not a client: pushes survive a stop and a kill of the server. Uses the first of crane and skopeo that can
# run.

RESTART_KINDS=(image index empty large)

prepare_restart() {
    # shellcheck source=tests/clients/crane.sh
    source "$HERE/crane.sh"
    # shellcheck source=tests/clients/skopeo.sh
    source "$HERE/skopeo.sh"
    RESTART_CLIENT=crane
    prepare_crane >/dev/null || { RESTART_CLIENT=skopeo; prepare_skopeo >/dev/null; }
}

restart_digest_of() {
    local name="DIGEST_${1^^}"
    echo "${!name}"
}

# The pushes and pulls below use the client's functions, in its repositories.
restart_pushes() {
    local kind
    for kind in "${RESTART_KINDS[@]}"; do
        "${RESTART_CLIENT}_push" "$kind" "$(restart_digest_of "$kind")"
    done
}

restart_pulls() {
    local kind
    for kind in "${RESTART_KINDS[@]}"; do
        "${RESTART_CLIENT}_pull" "$kind:v1" "$(restart_digest_of "$kind")"
    done
}

# restart_server AFTER: starts the server again on the same data.
restart_server() {
    local code=0
    start_pulk "$DATA" >"$WORK/start.log" 2>&1 || code=$?
    check "the server starts after a $1" restart_started "$code"
    return "$code"
}

restart_started() {
    cat "$WORK/start.log"
    same "exit code" 0 "$1"
}

checks_restart() {
    local code=0
    check "$RESTART_CLIENT pushes" restart_pushes
    stop_pulk || code=$?
    check "the server stops with exit code 0" same "exit code" 0 "$code"
    restart_server stop || return 0
    check "$RESTART_CLIENT pulls everything back after a stop" restart_pulls

    # Into an empty store, so that every byte is new when the server is killed.
    stop_pulk || true
    DATA="$WORK/data-killed"
    start_pulk "$DATA"
    check "$RESTART_CLIENT pushes to an empty store" restart_pushes
    kill_pulk
    restart_server kill || return 0
    check "$RESTART_CLIENT pulls everything back after a kill" restart_pulls
    check "$RESTART_CLIENT pushes again after a kill" restart_pushes
}
