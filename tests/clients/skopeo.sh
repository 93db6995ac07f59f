# shellcheck shell=bash
# skopeo: containers/image, which podman, buildah and CRI-O use as well.

prepare_skopeo() {
    need_debian skopeo skopeo || return 1
    echo "skopeo: $(skopeo --version)"
}

run_skopeo() { within_time skopeo --insecure-policy "$@"; }

skopeo_reference() { echo "docker://$PULK_ADDR/clients/skopeo/$1"; }

skopeo_digest() {
    local raw="$WORK/skopeo.manifest"
    run_skopeo inspect --raw --tls-verify=false "$(skopeo_reference "$1")" >"$raw"
    digest_of_input <"$raw"
}

skopeo_push() {
    run_skopeo copy --all --preserve-digests --dest-tls-verify=false \
        "oci:$IMAGES/$1:v1" "$(skopeo_reference "$1:v1")"
    same digest "$2" "$(skopeo_digest "$1:v1")"
}

# skopeo_pull NAME:TAG DIGEST
skopeo_pull() {
    rm -rf "$WORK/back"
    run_skopeo copy --all --preserve-digests --src-tls-verify=false \
        "$(skopeo_reference "$1")" "oci:$WORK/back:v1"
    images verify "$WORK/back" "$2"
}

skopeo_lists_tags() {
    local tags
    tags=$(run_skopeo list-tags --tls-verify=false "$(skopeo_reference "$1")" |
        python3 -c 'import json, sys; print("\n".join(json.load(sys.stdin)["Tags"]))')
    shift
    same tags "$(printf '%s\n' "$@")" "$tags"
}

skopeo_mounts() {
    run_skopeo --debug copy --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
        "$(skopeo_reference image:v1)" "$(skopeo_reference copied/image:v1)" >"$WORK/skopeo.log" 2>&1 ||
        { cat "$WORK/skopeo.log"; return 1; }
    says 'mount OK' "$WORK/skopeo.log"
    same digest "$DIGEST_IMAGE" "$(skopeo_digest copied/image:v1)"
    skopeo_pull copied/image:v1 "$DIGEST_IMAGE"
}

skopeo_tags() {
    run_skopeo copy --src-tls-verify=false --dest-tls-verify=false \
        "$(skopeo_reference image:v1)" "$(skopeo_reference image:v2)"
    skopeo_lists_tags image v1 v2
    same digest "$DIGEST_IMAGE" "$(skopeo_digest image:v2)"
}

skopeo_syncs() {
    rm -rf "$WORK/synced"
    run_skopeo sync --src docker --dest dir --src-tls-verify=false \
        "$PULK_ADDR/clients/skopeo/image" "$WORK/synced"
    local manifests
    manifests=$(sha256sum "$WORK"/synced/*/manifest.json | cut -d' ' -f1)
    same manifests "${DIGEST_IMAGE#sha256:}"$'\n'"${DIGEST_IMAGE#sha256:}" "$manifests"
}

skopeo_deletes() {
    run_skopeo delete --tls-verify=false "$(skopeo_reference copied/image:v1)"
    gone run_skopeo inspect --raw --tls-verify=false "$(skopeo_reference copied/image:v1)"
    gone run_skopeo inspect --raw --tls-verify=false "$(skopeo_reference "copied/image@$DIGEST_IMAGE")"
    same digest "$DIGEST_IMAGE" "$(skopeo_digest image:v1)"
}

checks_skopeo() {
    check "pushes an image" skopeo_push image "$DIGEST_IMAGE"
    check "pulls it back unchanged" skopeo_pull image:v1 "$DIGEST_IMAGE"
    check "pulls it by digest" skopeo_pull "image@$DIGEST_IMAGE" "$DIGEST_IMAGE"
    check "pushes a multi-arch index" skopeo_push index "$DIGEST_INDEX"
    check "pulls the index back unchanged" skopeo_pull index:v1 "$DIGEST_INDEX"
    check "pushes an image with a layer of 0 bytes" skopeo_push empty "$DIGEST_EMPTY"
    check "pulls the layer of 0 bytes back" skopeo_pull empty:v1 "$DIGEST_EMPTY"
    check "pushes a layer of 300 MB" skopeo_push large "$DIGEST_LARGE"
    check "pulls the 300 MB back unchanged" skopeo_pull large:v1 "$DIGEST_LARGE"
    check "copies between repositories by mounting" skopeo_mounts
    check "tags, and lists the tags" skopeo_tags
    check "syncs every tag of a repository" skopeo_syncs
    check "deletes an image in one repository only" skopeo_deletes
}
