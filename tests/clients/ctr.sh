# shellcheck shell=bash
# ctr: containerd's client; Kubernetes, nerdctl and docker's image store pull and push the same way.
# No layer of 0 bytes: containerd refuses to fetch one by design ("reports content size of
# zero"), and 1.6 panics when it pushes one.

prepare_ctr() {
    need_root || return 1
    need_debian containerd containerd || return 1
    need_debian ctr containerd || return 1
    start_containerd || return 1
    echo "ctr: $(containerd --version)"
}

run_ctr() {
    as_root timeout --foreground --kill-after=5 "$CLIENT_TIME_MAX_SECONDS" \
        ctr -a "$WORK/containerd/socket" -n pulk "$@"
}

ctr_reference() { echo "$PULK_ADDR/clients/ctr/$1"; }

# The digest of an image by its name in containerd.
ctr_digest() {
    run_ctr images ls "name==$(ctr_reference "$1")" | awk 'NR == 2 { print $3 }'
}

# Removes the image and its content, so that a pull must fetch all of it.
ctr_forget() {
    run_ctr images rm --sync "$(ctr_reference "$1")"
    local left
    left=$(run_ctr content ls -q)
    fails grep -F "$2" <<<"$left"
}

ctr_import() {
    run_ctr images import --no-unpack --all-platforms --base-name "$(ctr_reference "$1")" "$WORK/$1.tar"
}

ctr_push() {
    ctr_import "$1"
    same "digest imported" "$2" "$(ctr_digest "$1:v1")"
    run_ctr images push --plain-http "$(ctr_reference "$1:v1")"
    ctr_forget "$1:v1" "$2"
}

# Exports what containerd stored as a layout.
ctr_verify() {
    rm -rf "$WORK/back" "$WORK/exported.tar"
    mkdir "$WORK/back"
    run_ctr images export --all-platforms "$WORK/exported.tar" "$(ctr_reference "$1")"
    tar -xf "$WORK/exported.tar" -C "$WORK/back"
    rm -f "$WORK/exported.tar"
    images verify "$WORK/back" "$2"
}

ctr_pull() {
    run_ctr images pull --plain-http --snapshotter native "$(ctr_reference "$1")"
    same digest "$2" "$(ctr_digest "$1")"
    ctr_verify "$1" "$2"
}

ctr_pulls_by_digest() {
    ctr_forget image:v1 "$DIGEST_IMAGE"
    ctr_pull "image@$DIGEST_IMAGE" "$DIGEST_IMAGE"
    ctr_forget "image@$DIGEST_IMAGE" "$DIGEST_IMAGE"
    ctr_pull image:v1 "$DIGEST_IMAGE"
}

# Fetches every platform, and unpacks nothing.
ctr_fetch() {
    run_ctr content fetch --plain-http --all-platforms "$(ctr_reference "$1")"
    same digest "$2" "$(ctr_digest "$1")"
    ctr_verify "$1" "$2"
}

ctr_tags() {
    run_ctr images tag --force "$(ctr_reference image:v1)" "$(ctr_reference image:v2)"
    run_ctr images push --plain-http "$(ctr_reference image:v2)"
    run_ctr images rm --sync "$(ctr_reference image:v2)"
    run_ctr images pull --plain-http --snapshotter native "$(ctr_reference image:v2)"
    same digest "$DIGEST_IMAGE" "$(ctr_digest image:v2)"
}

# containerd remembers the source of a blob and mounts it from there. Versions that hand the push to the
# daemon dump no requests; then only the result is checked.
ctr_copies_between_repositories() {
    run_ctr images tag --force "$(ctr_reference image:v1)" "$(ctr_reference copied/image:v1)"
    run_ctr images push --plain-http --http-dump "$(ctr_reference copied/image:v1)" >"$WORK/ctr.dump" 2>&1 ||
        { tail -n 20 "$WORK/ctr.dump"; return 1; }
    grep -aoE '(HEAD|POST|PUT) /v2/[^ ]*|HTTP/1.1 [0-9]+.*' "$WORK/ctr.dump" >"$WORK/ctr.requests" || true
    cat "$WORK/ctr.requests"
    if [ -s "$WORK/ctr.requests" ]; then
        grep -q '^POST .*mount=sha256' "$WORK/ctr.requests" || { echo "no request asked for a mount"; return 1; }
        fails grep '^PUT /v2/.*/blobs/' "$WORK/ctr.requests"
    fi
    run_ctr images rm --sync "$(ctr_reference image:v1)" "$(ctr_reference image:v2)"
    ctr_forget copied/image:v1 "$DIGEST_IMAGE"
    ctr_pull copied/image:v1 "$DIGEST_IMAGE"
}

checks_ctr() {
    check "pushes an image" ctr_push image "$DIGEST_IMAGE"
    check "pulls it back unchanged" ctr_pull image:v1 "$DIGEST_IMAGE"
    check "pulls it by digest" ctr_pulls_by_digest
    check "tags" ctr_tags
    check "copies between repositories by mounting" ctr_copies_between_repositories
    check "pushes a multi-arch index" ctr_push index "$DIGEST_INDEX"
    check "fetches the index back unchanged" ctr_fetch index:v1 "$DIGEST_INDEX"
    check "pushes a layer of 300 MB" ctr_push large "$DIGEST_LARGE"
    check "pulls the 300 MB back unchanged" ctr_pull large:v1 "$DIGEST_LARGE"
}
