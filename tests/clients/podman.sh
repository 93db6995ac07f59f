# shellcheck shell=bash
# podman pulls only the changed files of a zstd:chunked layer, by many ranges in one request. Everything else it does
# as buildah.

PODMAN_FILES=60
PODMAN_FILE_BYTES=200000

prepare_podman() {
    need_root || return 1
    need_debian podman podman || return 1
    need_debian curl curl || return 1
    mkdir -p "$WORK/podman/files"
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$WORK/podman/policy.json"
    local store
    for store in pushing pulling; do
        cat >"$WORK/podman/$store.conf" <<END
[storage]
driver = "overlay"
runroot = "$WORK/podman/$store.run"
graphroot = "$WORK/podman/$store.root"
[storage.options]
pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}
END
    done
    run_podman pulling images >/dev/null 2>"$WORK/podman.log" ||
        { REASON="podman has no store: $(tail -n 1 "$WORK/podman.log")"; return 1; }
    echo "podman: $(podman --version)"
}

# run_podman STORE ARGUMENT ...
run_podman() {
    local store=$1; shift
    as_root env CONTAINERS_STORAGE_CONF="$WORK/podman/$store.conf" \
        timeout --foreground --kill-after=5 "$CLIENT_TIME_MAX_SECONDS" podman "$@"
}

podman_reference() { echo "$PULK_ADDR/clients/podman/chunked:$1"; }

# podman_change_files NUMBER ...
podman_change_files() {
    local number
    for number in "$@"; do
        head -c "$PODMAN_FILE_BYTES" /dev/urandom >"$WORK/podman/files/$number"
    done
}

# podman_push VERSION: an image of one layer with the files as they are now.
podman_push() {
    printf 'FROM scratch\nCOPY files /\n' >"$WORK/podman/Containerfile"
    run_podman pushing build -q --isolation chroot -t "clients-chunked:$1" \
        -f "$WORK/podman/Containerfile" "$WORK/podman"
    run_podman pushing push -q --tls-verify=false --signature-policy "$WORK/podman/policy.json" \
        --compression-format zstd:chunked "clients-chunked:$1" "docker://$(podman_reference "$1")"
}

podman_pushes_two_versions() {
    podman_change_files $(seq "$PODMAN_FILES")
    podman_push v1
    podman_change_files 5 30
    podman_push v2
}

podman_pull() {
    run_podman pulling pull -q --tls-verify=false --signature-policy "$WORK/podman/policy.json" \
        "$(podman_reference "$1")"
}

sent_bytes() { curl -sf "http://$PULK_ADDR/metrics" | sed -n 's/^pulk_http_sent_bytes_total //p'; }

podman_pulls_what_changed() {
    local before sent mounted
    podman_pull v1
    before=$(sent_bytes)
    podman_pull v2
    sent=$(($(sent_bytes) - before))
    echo "$sent bytes were sent for two changed files of $PODMAN_FILE_BYTES bytes"
    [ "$sent" -gt $((2 * PODMAN_FILE_BYTES)) ] && [ "$sent" -lt $((PODMAN_FILES * PODMAN_FILE_BYTES / 4)) ]
    mounted=$(run_podman pulling image mount "$(podman_reference v2)")
    as_root diff -r "$mounted" "$WORK/podman/files"
    run_podman pulling image unmount "$(podman_reference v2)"
}

checks_podman() {
    check "pushes two versions of a zstd:chunked layer" podman_pushes_two_versions
    check "pulls only the files that changed" podman_pulls_what_changed
}
