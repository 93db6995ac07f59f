# shellcheck shell=bash
# oras: oras-go, which helm, notation and ratify use as well.

ORAS_VERSION=1.3.3
ORAS_FILE_BYTES=100000

prepare_oras() {
    need_go_tool oras "$ORAS_VERSION" oras.land/oras/cmd/oras || return 1
    ORAS=$TOOL
    ORAS_FILES="$WORK/oras-files"
    mkdir -p "$ORAS_FILES"
    head -c "$ORAS_FILE_BYTES" /dev/urandom >"$ORAS_FILES/random.bin"
    : >"$ORAS_FILES/nothing.bin"
    echo '{"packages": []}' >"$ORAS_FILES/sbom.json"
    echo "oras: $ORAS_VERSION"
}

# oras uses file names as titles, so it runs in the folder of the files.
run_oras() { (cd "$ORAS_FILES" && within_time "$ORAS" "$@"); }

oras_reference() { echo "$PULK_ADDR/clients/oras/$1"; }

oras_digest() { run_oras resolve --plain-http "$(oras_reference "$1")"; }

oras_push() {
    run_oras cp --from-oci-layout --to-plain-http --no-tty "$IMAGES/$1:v1" "$(oras_reference "$1:v1")"
    same digest "$2" "$(oras_digest "$1:v1")"
}

# oras_pull NAME:TAG DIGEST
oras_pull() {
    rm -rf "$WORK/back"
    run_oras cp --from-plain-http --to-oci-layout --no-tty "$(oras_reference "$1")" "$WORK/back:v1"
    images verify "$WORK/back" "$2"
}

oras_pushes_and_pulls_files() {
    rm -rf "$WORK/back"
    run_oras push --plain-http --no-tty --artifact-type application/vnd.example.files \
        "$(oras_reference files:v1)" \
        random.bin:application/vnd.example.bytes nothing.bin:application/vnd.example.bytes
    run_oras pull --plain-http --no-tty -o "$WORK/back" "$(oras_reference files:v1)"
    cmp "$ORAS_FILES/random.bin" "$WORK/back/random.bin"
    cmp "$ORAS_FILES/nothing.bin" "$WORK/back/nothing.bin"
}

oras_pushes_and_fetches_blobs() {
    local file digest
    for file in random.bin nothing.bin; do
        digest=$(digest_of_input <"$ORAS_FILES/$file")
        run_oras blob push --plain-http --no-tty "$(oras_reference "single@$digest")" "$file"
        run_oras blob fetch --plain-http --no-tty --output "$WORK/blob" "$(oras_reference "single@$digest")"
        cmp "$ORAS_FILES/$file" "$WORK/blob"
    done
    run_oras blob delete --plain-http --force "$(oras_reference "single@$digest")"
    gone run_oras blob fetch --plain-http --no-tty --descriptor "$(oras_reference "single@$digest")"
}

oras_mounts() {
    run_oras cp --from-plain-http --to-plain-http --no-tty \
        "$(oras_reference image:v1)" "$(oras_reference copied/image:v1)" | tee "$WORK/oras.log"
    says '^Mounted' "$WORK/oras.log"
    same digest "$DIGEST_IMAGE" "$(oras_digest copied/image:v1)"
    oras_pull copied/image:v1 "$DIGEST_IMAGE"
}

oras_tags() {
    run_oras tag --plain-http "$(oras_reference image:v1)" v2 latest
    same digest "$DIGEST_IMAGE" "$(oras_digest image:latest)"
    same tags $'latest\nv1\nv2' "$(run_oras repo tags --plain-http "$(oras_reference image)")"
}

oras_lists_repositories() {
    lists "$(run_oras repo ls --plain-http "$PULK_ADDR")" clients/oras/image clients/oras/files
}

oras_makes_an_index() {
    local index
    run_oras manifest index create --plain-http "$(oras_reference index:made)" \
        "$DIGEST_INDEX_0" "$DIGEST_INDEX_1"
    index=$(oras_digest index:made)
    oras_pull index:made "$index"
    same "the other platform" "$DIGEST_INDEX_1" \
        "$(run_oras resolve --plain-http --platform "$PLATFORM_1" "$(oras_reference index:made)")"
}

# oras_discovered NAME:TAG [TYPE]: the digests of the direct referrers, sorted.
oras_discovered() {
    run_oras discover --plain-http --depth 1 --format json \
        ${2:+--artifact-type "$2"} "$(oras_reference "$1")" |
        python3 -c 'import json, sys
answer = json.load(sys.stdin)
print("\n".join(sorted(m["digest"] for m in answer.get("referrers") or answer.get("manifests") or [])))'
}

oras_attaches() {
    local sbom signature others
    sbom=$(run_oras attach --plain-http --no-tty --artifact-type application/vnd.example.sbom.v1+json \
        --format go-template='{{.digest}}' "$(oras_reference image:v1)" sbom.json:application/json)
    signature=$(run_oras attach --plain-http --no-tty --artifact-type application/vnd.example.signature \
        --annotation org.example.key=value --format go-template='{{.digest}}' "$(oras_reference image:v1)")
    same referrers "$(printf '%s\n' "$sbom" "$signature" | sort)" "$(oras_discovered image:v1)"
    same "referrers of one type" "$sbom" "$(oras_discovered image:v1 application/vnd.example.sbom.v1+json)"
    others=$(oras_discovered image:v1 application/vnd.example.other)
    same "referrers of no such type" "" "$others"
    echo "$sbom" >"$WORK/oras.sbom"
    rm -rf "$WORK/back"
    run_oras pull --plain-http --no-tty -o "$WORK/back" "$(oras_reference "image@$sbom")"
    cmp "$ORAS_FILES/sbom.json" "$WORK/back/sbom.json"
}

oras_leaves_no_fallback_tag() {
    same tags $'latest\nv1\nv2' "$(run_oras repo tags --plain-http "$(oras_reference image)")"
}

oras_copies_referrers_in() {
    run_oras cp -r --from-oci-layout --to-plain-http --no-tty \
        "$IMAGES/referrers:v1" "$(oras_reference referrers:v1)"
    same "referrers of the image" \
        "$(printf '%s\n' "$DIGEST_REFERRERS_SBOM" "$DIGEST_REFERRERS_SIGNATURE" | sort)" \
        "$(oras_discovered referrers:v1)"
    same "referrers of the SBOM" "$DIGEST_REFERRERS_OF_SBOM" \
        "$(oras_discovered "referrers@$DIGEST_REFERRERS_SBOM")"
}

oras_copies_referrers_back() {
    rm -rf "$WORK/back"
    run_oras cp -r --from-plain-http --to-plain-http --no-tty \
        "$(oras_reference referrers:v1)" "$(oras_reference copied/referrers:v1)"
    run_oras cp -r --from-plain-http --to-oci-layout --no-tty \
        "$(oras_reference copied/referrers:v1)" "$WORK/back:v1"
    local digest
    images verify "$WORK/back" "$DIGEST_REFERRERS"
    for digest in "$DIGEST_REFERRERS_SBOM" "$DIGEST_REFERRERS_SIGNATURE" "$DIGEST_REFERRERS_OF_SBOM"; do
        images verify "$WORK/back" "$digest"
    done
}

oras_deletes_a_referrer() {
    local sbom left
    sbom=$(cat "$WORK/oras.sbom")
    run_oras manifest delete --plain-http --force "$(oras_reference "image@$sbom")"
    gone run_oras manifest fetch --plain-http "$(oras_reference "image@$sbom")"
    left=$(oras_discovered image:v1)
    [ -n "$left" ]
    fails grep -F "$sbom" <<<"$left"
    same "the image" "$DIGEST_IMAGE" "$(oras_digest image:v1)"
}

oras_deletes_an_image() {
    run_oras manifest delete --plain-http --force "$(oras_reference copied/image:v1)"
    gone run_oras manifest fetch --plain-http "$(oras_reference "copied/image@$DIGEST_IMAGE")"
    same "the image it was copied from" "$DIGEST_IMAGE" "$(oras_digest image:v1)"
}

checks_oras() {
    check "pushes an image" oras_push image "$DIGEST_IMAGE"
    check "pulls it back unchanged" oras_pull image:v1 "$DIGEST_IMAGE"
    check "pulls it by digest" oras_pull "image@$DIGEST_IMAGE" "$DIGEST_IMAGE"
    check "pushes a multi-arch index" oras_push index "$DIGEST_INDEX"
    check "pulls the index back unchanged" oras_pull index:v1 "$DIGEST_INDEX"
    check "creates an index of existing manifests" oras_makes_an_index
    check "pushes an image with a layer of 0 bytes" oras_push empty "$DIGEST_EMPTY"
    check "pulls the layer of 0 bytes back" oras_pull empty:v1 "$DIGEST_EMPTY"
    check "pushes a layer of 300 MB" oras_push large "$DIGEST_LARGE"
    check "pulls the 300 MB back unchanged" oras_pull large:v1 "$DIGEST_LARGE"
    check "pushes and pulls files, one of them empty" oras_pushes_and_pulls_files
    check "pushes, fetches and deletes blobs" oras_pushes_and_fetches_blobs
    check "copies between repositories by mounting" oras_mounts
    check "tags, and lists the tags" oras_tags
    check "lists repositories" oras_lists_repositories
    check "attaches artifacts and discovers them" oras_attaches
    check "needs no fallback tag for referrers" oras_leaves_no_fallback_tag
    check "pushes an image with referrers of referrers" oras_copies_referrers_in
    check "copies them between repositories and pulls them back" oras_copies_referrers_back
    check "deletes a referrer" oras_deletes_a_referrer
    check "deletes an image in one repository only" oras_deletes_an_image
}
