# shellcheck shell=bash
# buildah: containers/image as in skopeo, but with a store. podman pushes and pulls the same way.
# No layer of 0 bytes: buildah unpacks what it pulls, and 0 bytes are not a tar.

prepare_buildah() {
    need_root || return 1
    need_debian buildah buildah || return 1
    mkdir -p "$WORK/buildah"
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$WORK/buildah/policy.json"
    run_buildah images >/dev/null 2>"$WORK/buildah.log" ||
        { REASON="buildah has no store: $(tail -n 1 "$WORK/buildah.log")"; return 1; }
    echo "buildah: $(buildah --version)"
}

run_buildah() {
    as_root timeout --foreground --kill-after=5 "$CLIENT_TIME_MAX_SECONDS" \
        buildah --root "$WORK/buildah/root" --runroot "$WORK/buildah/run" --storage-driver vfs "$@"
}

buildah_reference() { echo "docker://$PULK_ADDR/clients/buildah/$1"; }

buildah_fetch() {
    run_buildah pull --quiet --policy always --tls-verify=false \
        --signature-policy "$WORK/buildah/policy.json" "$@"
}

# buildah_push IMAGE NAME:TAG DIGEST_FILE
buildah_push() {
    run_buildah push --signature-policy "$WORK/buildah/policy.json" --tls-verify=false \
        --digestfile "$WORK/$3" "$1" "$(buildah_reference "$2")"
    grep -qxE 'sha256:[0-9a-f]{64}' "$WORK/$3"
}

buildah_forget() {
    local left
    run_buildah rmi --all --force
    left=$(run_buildah images -q)
    same "images left" "" "$left"
}

# buildah_push_layout KIND CONFIG
buildah_push_layout() {
    # buildah names the image after the path, which must be lower case.
    local id; id=$(cd "$IMAGES" && buildah_fetch "oci:$1:v1")
    same "id of the image" "${2#sha256:}" "$id"
    buildah_push "$id" "$1:v1" "buildah.$1.digest"
    same "config pushed" "$2" "$(images config-of "$PULK_ADDR" "clients/buildah/$1" v1)"
}

# buildah_pull NAME:TAG CONFIG: the id is the digest of the config.
buildah_pull() {
    buildah_forget
    local id; id=$(buildah_fetch "$(buildah_reference "$1")")
    same "id of the image" "${2#sha256:}" "$id"
}

buildah_pulls_by_digest() {
    local digest; digest=$(cat "$WORK/buildah.image.digest")
    buildah_pull "image@$digest" "$DIGEST_IMAGE_CONFIG"
    same digest "$digest" "$(run_buildah images --digests --format '{{.Digest}}')"
}

buildah_tags() {
    buildah_pull image:v1 "$DIGEST_IMAGE_CONFIG"
    buildah_push "${DIGEST_IMAGE_CONFIG#sha256:}" image:v2 buildah.v2.digest
    buildah_pull image:v2 "$DIGEST_IMAGE_CONFIG"
}

buildah_copies_between_repositories() {
    buildah_pull image:v1 "$DIGEST_IMAGE_CONFIG"
    run_buildah --log-level debug push --signature-policy "$WORK/buildah/policy.json" --tls-verify=false \
        "${DIGEST_IMAGE_CONFIG#sha256:}" "$(buildah_reference copied/image:v1)" >"$WORK/buildah.log" 2>&1 ||
        { cat "$WORK/buildah.log"; return 1; }
    says 'mount OK' "$WORK/buildah.log"
    buildah_pull copied/image:v1 "$DIGEST_IMAGE_CONFIG"
}

# The bytes of the layer, which buildah writes uncompressed to a folder.
buildah_pulls_the_large_layer() {
    buildah_pull large:v1 "$DIGEST_LARGE_CONFIG"
    rm -rf "$WORK/back"
    run_buildah push --signature-policy "$WORK/buildah/policy.json" --disable-compression \
        "${DIGEST_LARGE_CONFIG#sha256:}" "dir:$WORK/back"
    images has-content "$WORK/back" "$DIGEST_LARGE_LAYER_BARE"
    as_root rm -rf "$WORK/back"
}

buildah_builds() {
    local container id
    buildah_pull image:v1 "$DIGEST_IMAGE_CONFIG"
    container=$(run_buildah from --pull-never "${DIGEST_IMAGE_CONFIG#sha256:}")
    run_buildah copy "$container" "$HERE/run" /run-of-the-clients
    run_buildah config --label org.example.built=yes "$container"
    id=$(run_buildah commit --quiet --signature-policy "$WORK/buildah/policy.json" "$container")
    run_buildah rm "$container"
    buildah_push "$id" built:v1 buildah.built.digest
    buildah_pull built:v1 "sha256:$id"
}

# A list of images in the registry, pushed with all of them.
buildah_makes_an_index() {
    images push "$IMAGES/index" "$PULK_ADDR" clients/buildah/index
    buildah_forget
    local digest
    run_buildah manifest create clients-made
    for digest in "$DIGEST_INDEX_0" "$DIGEST_INDEX_1" "$DIGEST_INDEX_2"; do
        run_buildah manifest add --tls-verify=false clients-made "$(buildah_reference "index@$digest")"
    done
    run_buildah manifest push --all --signature-policy "$WORK/buildah/policy.json" --tls-verify=false \
        --digestfile "$WORK/buildah.index.digest" clients-made "$(buildah_reference made/index:v1)"
    run_buildah manifest rm clients-made
    buildah_pull made/index:v1 "$CONFIG_INDEX_0"
}

buildah_pulls_an_index() {
    buildah_pull index:v1 "$CONFIG_INDEX_0"
    buildah_forget
    same "id of the other platform" "${CONFIG_INDEX_1#sha256:}" \
        "$(buildah_fetch --platform "$PLATFORM_1" "$(buildah_reference index:v1)")"
}

checks_buildah() {
    check "pushes an image" buildah_push_layout image "$DIGEST_IMAGE_CONFIG"
    check "pulls it back unchanged" buildah_pull image:v1 "$DIGEST_IMAGE_CONFIG"
    check "pulls it by digest" buildah_pulls_by_digest
    check "tags" buildah_tags
    check "copies between repositories by mounting" buildah_copies_between_repositories
    check "builds on what it pulled, pushes and pulls that" buildah_builds
    check "pushes a layer of 300 MB" buildah_push_layout large "$DIGEST_LARGE_CONFIG"
    check "pulls the 300 MB back unchanged" buildah_pulls_the_large_layer
    check "creates an index of three platforms and pulls it" buildah_makes_an_index
    check "pulls a multi-arch index for two platforms" buildah_pulls_an_index
}
