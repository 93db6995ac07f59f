# shellcheck shell=bash
# regctl: regclient, which regsync and regbot use as well; the only client here that pushes in chunks.

REGCTL_VERSION=0.11.5
REGCTL_CHUNK_BYTES=1048576

prepare_regctl() {
    need_go_tool regctl "$REGCTL_VERSION" github.com/regclient/regclient/cmd/regctl || return 1
    REGCTL=$TOOL
    echo '{"packages": []}' >"$WORK/sbom.json"
    run_regctl registry set "$PULK_ADDR" --tls disabled --skip-check ||
        { REASON="regctl does not take its settings"; return 1; }
    echo "regctl: $REGCTL_VERSION"
}

run_regctl() { within_time "$REGCTL" "$@"; }

regctl_reference() { echo "$PULK_ADDR/clients/regctl/$1"; }

regctl_digest() { run_regctl image digest "$(regctl_reference "$1")"; }

regctl_push() {
    run_regctl image copy "ocidir://$IMAGES/$1:v1" "$(regctl_reference "$1:v1")"
    same digest "$2" "$(regctl_digest "$1:v1")"
}

# regctl_pull NAME:TAG DIGEST
regctl_pull() {
    rm -rf "$WORK/back"
    run_regctl image copy "$(regctl_reference "$1")" "ocidir://$WORK/back:v1"
    images verify "$WORK/back" "$2"
}

regctl_exports_and_imports() {
    run_regctl image export "$(regctl_reference index:v1)" "$WORK/exported.tar"
    run_regctl image import "$(regctl_reference imported/index:v1)" "$WORK/exported.tar"
    same digest "$DIGEST_INDEX" "$(regctl_digest imported/index:v1)"
    regctl_pull imported/index:v1 "$DIGEST_INDEX"
}

# In PATCHes of 1 MiB with Content-Range.
regctl_pushes_in_chunks() {
    local blob="$IMAGES/large/blobs/${DIGEST_LARGE_LAYER/://}" digest
    run_regctl registry set "$PULK_ADDR" --skip-check \
        --blob-chunk "$REGCTL_CHUNK_BYTES" --blob-max "$REGCTL_CHUNK_BYTES"
    digest=$(run_regctl -v debug blob put "$(regctl_reference chunked)" <"$blob" 2>"$WORK/regctl.log") ||
        { tail -n 20 "$WORK/regctl.log"; return 1; }
    says 'Next chunk upload location' "$WORK/regctl.log"
    run_regctl registry set "$PULK_ADDR" --skip-check --blob-chunk 0 --blob-max 0
    same digest "$DIGEST_LARGE_LAYER" "$digest"
    same "what comes back" "$DIGEST_LARGE_LAYER" \
        "$(run_regctl blob get "$(regctl_reference chunked)" "$digest" | digest_of_input)"
}

regctl_puts_an_empty_blob() {
    run_regctl blob put --digest "$DIGEST_EMPTY_LAYER" "$(regctl_reference single)" </dev/null
    same size 0 "$(run_regctl blob get "$(regctl_reference single)" "$DIGEST_EMPTY_LAYER" | wc -c)"
}

regctl_copies_a_blob() {
    run_regctl blob copy "$(regctl_reference image)" "$(regctl_reference single)" "$DIGEST_IMAGE_LAYER"
    same layer "$DIGEST_IMAGE_LAYER" \
        "$(run_regctl blob get "$(regctl_reference single)" "$DIGEST_IMAGE_LAYER" | digest_of_input)"
    run_regctl blob delete "$(regctl_reference single)" "$DIGEST_IMAGE_LAYER"
    gone run_regctl blob head "$(regctl_reference single)" "$DIGEST_IMAGE_LAYER"
    run_regctl blob head "$(regctl_reference image)" "$DIGEST_IMAGE_LAYER"
}

regctl_mounts() {
    run_regctl -v debug image copy "$(regctl_reference image:v1)" "$(regctl_reference copied/image:v1)" \
        >"$WORK/regctl.log" 2>&1 || { cat "$WORK/regctl.log"; return 1; }
    says 'with registry mount' "$WORK/regctl.log"
    same digest "$DIGEST_IMAGE" "$(regctl_digest copied/image:v1)"
    regctl_pull copied/image:v1 "$DIGEST_IMAGE"
}

regctl_tags() {
    run_regctl image copy "$(regctl_reference image:v1)" "$(regctl_reference image:v2)"
    run_regctl image copy "$(regctl_reference image:v1)" "$(regctl_reference image:latest)"
    same digest "$DIGEST_IMAGE" "$(regctl_digest image:v2)"
    same tags $'latest\nv1\nv2' "$(run_regctl tag ls "$(regctl_reference image)")"
    same "a page of tags" v1 "$(run_regctl tag ls --limit 1 --last latest "$(regctl_reference image)")"
}

regctl_lists_repositories() {
    lists "$(run_regctl repo ls "$PULK_ADDR")" clients/regctl/image clients/regctl/index
}

regctl_makes_an_index() {
    run_regctl index create "$(regctl_reference index:made)" --ref "$(regctl_reference index:v1)" \
        --platform "$PLATFORM_0" --platform "$PLATFORM_1"
    same "the other platform" "$DIGEST_INDEX_1" \
        "$(run_regctl image digest --platform "$PLATFORM_1" "$(regctl_reference index:made)")"
    regctl_pull index:made "$(regctl_digest index:made)"
}

regctl_artifact() {
    run_regctl artifact put --artifact-type application/vnd.example.sbom.v1+json --file "$WORK/sbom.json" \
        --file-media-type application/json "$(regctl_reference artifact:v1)"
    run_regctl artifact get "$(regctl_reference artifact:v1)" | cmp - "$WORK/sbom.json"
}

# regctl_referrers NAME:TAG [TYPE]: the digests of the referrers, sorted.
regctl_referrers() {
    run_regctl artifact list "$(regctl_reference "$1")" ${2:+--filter-artifact-type "$2"} \
        --format '{{range .Descriptors}}{{println .Digest}}{{end}}' | sed '/^$/d' | sort
}

# regctl_attach TYPE: prints the digest of the new referrer.
regctl_attach() {
    run_regctl artifact put --artifact-type "$1" --file "$WORK/sbom.json" \
        --subject "$(regctl_reference image:v1)" --format '{{.Manifest.GetDescriptor.Digest}}'
}

regctl_attaches() {
    local sbom signature
    sbom=$(regctl_attach application/vnd.example.sbom.v1+json)
    signature=$(regctl_attach application/vnd.example.signature)
    same referrers "$(printf '%s\n' "$sbom" "$signature" | sort)" "$(regctl_referrers image:v1)"
    same "referrers of one type" "$signature" "$(regctl_referrers image:v1 application/vnd.example.signature)"
    run_regctl artifact get --subject "$(regctl_reference image:v1)" \
        --filter-artifact-type application/vnd.example.sbom.v1+json | cmp - "$WORK/sbom.json"
    run_regctl artifact tree "$(regctl_reference image:v1)"
    same "tags, no fallback among them" $'latest\nv1\nv2' "$(run_regctl tag ls "$(regctl_reference image)")"
    echo "$sbom" >"$WORK/regctl.sbom"
}

regctl_copies_with_referrers() {
    local wanted; wanted=$(regctl_referrers image:v1)
    [ -n "$wanted" ]
    run_regctl image copy --referrers "$(regctl_reference image:v1)" "$(regctl_reference with-referrers:v1)"
    same referrers "$wanted" "$(regctl_referrers with-referrers:v1)"
}

regctl_deletes_a_referrer() {
    local sbom left
    sbom=$(cat "$WORK/regctl.sbom")
    run_regctl manifest delete --referrers "$(regctl_reference "image@$sbom")"
    gone run_regctl manifest head "$(regctl_reference "image@$sbom")"
    left=$(regctl_referrers image:v1)
    [ -n "$left" ]
    fails grep -F "$sbom" <<<"$left"
}

regctl_deletes_a_tag() {
    run_regctl tag delete "$(regctl_reference image:v2)"
    same tags $'latest\nv1' "$(run_regctl tag ls "$(regctl_reference image)")"
    gone run_regctl manifest head "$(regctl_reference image:v2)"
    same "the image" "$DIGEST_IMAGE" "$(regctl_digest image:v1)"
}

regctl_deletes_an_image() {
    run_regctl manifest delete "$(regctl_reference "copied/image@$DIGEST_IMAGE")"
    gone run_regctl manifest head "$(regctl_reference copied/image:v1)"
    same "the image it was copied from" "$DIGEST_IMAGE" "$(regctl_digest image:v1)"
}

checks_regctl() {
    check "pushes an image" regctl_push image "$DIGEST_IMAGE"
    check "pulls it back unchanged" regctl_pull image:v1 "$DIGEST_IMAGE"
    check "pushes a multi-arch index" regctl_push index "$DIGEST_INDEX"
    check "pulls the index back unchanged" regctl_pull index:v1 "$DIGEST_INDEX"
    check "exports an index and imports it" regctl_exports_and_imports
    check "creates an index of existing manifests" regctl_makes_an_index
    check "pushes an image with a layer of 0 bytes" regctl_push empty "$DIGEST_EMPTY"
    check "pulls the layer of 0 bytes back" regctl_pull empty:v1 "$DIGEST_EMPTY"
    check "puts and gets an empty blob" regctl_puts_an_empty_blob
    check "pushes a layer of 300 MB" regctl_push large "$DIGEST_LARGE"
    check "pulls the 300 MB back unchanged" regctl_pull large:v1 "$DIGEST_LARGE"
    check "pushes 300 MB in chunks of 1 MiB" regctl_pushes_in_chunks
    check "copies and deletes a blob" regctl_copies_a_blob
    check "copies between repositories by mounting" regctl_mounts
    check "tags, and lists the tags in pages" regctl_tags
    check "lists repositories" regctl_lists_repositories
    check "puts and gets an artifact" regctl_artifact
    check "attaches artifacts and lists them" regctl_attaches
    check "copies an image with its referrers" regctl_copies_with_referrers
    check "deletes a referrer" regctl_deletes_a_referrer
    check "deletes a tag and leaves the image" regctl_deletes_a_tag
    check "deletes an image by digest with its tags" regctl_deletes_an_image
}
