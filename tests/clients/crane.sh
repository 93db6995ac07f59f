# shellcheck shell=bash
# crane: go-containerregistry, which ko, kaniko and cosign use as well.

CRANE_VERSION=0.21.9

prepare_crane() {
    need_go_tool crane "$CRANE_VERSION" github.com/google/go-containerregistry/cmd/crane || return 1
    CRANE=$TOOL
    echo "crane: $CRANE_VERSION"
}

run_crane() { within_time "$CRANE" --insecure "$@"; }

crane_reference() { echo "$PULK_ADDR/clients/crane/$1"; }

crane_push() {
    run_crane push "$IMAGES/$1" "$(crane_reference "$1:v1")"
    same digest "$2" "$(run_crane digest "$(crane_reference "$1:v1")")"
}

# crane_pull NAME:TAG DIGEST
crane_pull() {
    rm -rf "$WORK/back"
    run_crane pull --format=oci "$(crane_reference "$1")" "$WORK/back"
    images verify "$WORK/back" "$2"
}

crane_validates() {
    local name
    for name in image:v1 index:v1 large:v1; do
        run_crane validate --remote "$(crane_reference "$name")"
    done
}

# Two builds push the same layer at the same time; both must succeed.
crane_pushes_twice_at_once() {
    local first
    run_crane push "$IMAGES/large" "$(crane_reference twice:first)" &
    first=$!
    run_crane push "$IMAGES/large" "$(crane_reference twice:second)"
    wait "$first"
    crane_pull twice:first "$DIGEST_LARGE"
    crane_pull twice:second "$DIGEST_LARGE"
}

crane_pushes_a_docker_tarball() {
    run_crane push "$WORK/image.tar" "$(crane_reference tarball:v1)"
    run_crane validate --remote "$(crane_reference tarball:v1)"
    run_crane pull "$(crane_reference tarball:v1)" "$WORK/tarball.tar"
    same "config in the tarball" "$DIGEST_IMAGE_CONFIG" \
        "$(run_crane config "$(crane_reference tarball:v1)" | digest_of_input)"
}

crane_reads_manifest_and_blob() {
    same manifest "$DIGEST_IMAGE" \
        "$(run_crane manifest "$(crane_reference image:v1)" | digest_of_input)"
    same layer "$DIGEST_IMAGE_LAYER" \
        "$(run_crane blob "$(crane_reference "image@$DIGEST_IMAGE_LAYER")" | digest_of_input)"
}

crane_mounts() {
    run_crane copy "$(crane_reference "$1:v1")" "$(crane_reference "copied/$1:v1")" >"$WORK/crane.log" 2>&1 ||
        { cat "$WORK/crane.log"; return 1; }
    says 'mounted blob' "$WORK/crane.log"
    same digest "$2" "$(run_crane digest "$(crane_reference "copied/$1:v1")")"
    crane_pull "copied/$1:v1" "$2"
}

crane_tags() {
    local tag
    for tag in v2 v10 latest; do
        run_crane tag "$(crane_reference image:v1)" "$tag"
        same digest "$DIGEST_IMAGE" "$(run_crane digest "$(crane_reference "image:$tag")")"
    done
    same tags $'latest\nv1\nv10\nv2' "$(run_crane ls "$(crane_reference image)")"
}

crane_moves_a_tag() {
    run_crane push "$IMAGES/image" "$(crane_reference moved:now)"
    run_crane append -f "$WORK/image.tar" -b "$(crane_reference moved:now)" -t "$(crane_reference moved:now)"
    run_crane validate --remote "$(crane_reference moved:now)"
    local moved; moved=$(run_crane digest "$(crane_reference moved:now)")
    [ "$moved" != "$DIGEST_IMAGE" ]
    same "the image before" "$DIGEST_IMAGE" "$(run_crane digest "$(crane_reference "moved@$DIGEST_IMAGE")")"
}

crane_pushes_to_odd_names() {
    local name
    for name in blobs/uploads manifests/latest tags/list referrers/a.b__c-d--e; do
        run_crane push "$IMAGES/image" "$(crane_reference "$name:v1")"
        crane_pull "$name:v1" "$DIGEST_IMAGE"
        same tags v1 "$(run_crane ls "$(crane_reference "$name")")"
    done
}

crane_catalogs() {
    lists "$(run_crane catalog "$PULK_ADDR")" \
        clients/crane/image clients/crane/index clients/crane/copied/image
}

crane_picks_a_platform() {
    same digest "$DIGEST_INDEX_1" "$(run_crane digest --platform "$PLATFORM_1" "$(crane_reference index:v1)")"
}

crane_deletes_a_tag() {
    run_crane delete "$(crane_reference image:v10)"
    gone run_crane digest "$(crane_reference image:v10)"
    same tags $'latest\nv1\nv2' "$(run_crane ls "$(crane_reference image)")"
    same "the image by digest" "$DIGEST_IMAGE" \
        "$(run_crane digest "$(crane_reference "image@$DIGEST_IMAGE")")"
}

crane_deletes_a_digest() {
    run_crane delete "$(crane_reference "copied/image@$DIGEST_IMAGE")"
    gone run_crane manifest "$(crane_reference "copied/image@$DIGEST_IMAGE")"
    gone run_crane manifest "$(crane_reference copied/image:v1)"
    same "the image it was copied from" "$DIGEST_IMAGE" "$(run_crane digest "$(crane_reference image:v1)")"
}

checks_crane() {
    check "pushes an image" crane_push image "$DIGEST_IMAGE"
    check "pulls it back unchanged" crane_pull image:v1 "$DIGEST_IMAGE"
    check "pushes a multi-arch index" crane_push index "$DIGEST_INDEX"
    check "pulls the index back unchanged" crane_pull index:v1 "$DIGEST_INDEX"
    check "picks a platform of the index" crane_picks_a_platform
    check "pushes an image with a layer of 0 bytes" crane_push empty "$DIGEST_EMPTY"
    check "pulls the layer of 0 bytes back" crane_pull empty:v1 "$DIGEST_EMPTY"
    check "pushes a layer of 300 MB" crane_push large "$DIGEST_LARGE"
    check "pulls the 300 MB back unchanged" crane_pull large:v1 "$DIGEST_LARGE"
    check "pushes the 300 MB twice at once" crane_pushes_twice_at_once
    check "pushes and pulls a docker tarball" crane_pushes_a_docker_tarball
    check "pushes to repositories named like the API" crane_pushes_to_odd_names
    check "validates what it pushed" crane_validates
    check "reads a manifest and a blob" crane_reads_manifest_and_blob
    check "copies between repositories by mounting" crane_mounts image "$DIGEST_IMAGE"
    check "copies an index between repositories by mounting" crane_mounts index "$DIGEST_INDEX"
    check "tags, and lists the tags in order" crane_tags
    check "moves a tag and leaves the old image" crane_moves_a_tag
    check "lists the catalog" crane_catalogs
    check "deletes a tag and leaves the image" crane_deletes_a_tag
    check "deletes an image by digest with its tags" crane_deletes_a_digest
}
