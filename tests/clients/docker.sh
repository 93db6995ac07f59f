# shellcheck shell=bash
# docker: dockerd with the vfs driver, which needs neither containers nor its own network.
# No layer of 0 bytes: docker unpacks what it pulls, and 0 bytes are not a tar.

prepare_docker() {
    need_root || return 1
    need_debian dockerd docker.io || return 1
    need_debian docker docker-cli || return 1
    need_debian containerd containerd || return 1
    need_debian ctr containerd || return 1
    start_containerd || return 1
    mkdir -p "$WORK/docker"
    echo '{}' >"$WORK/docker/daemon.json"
    start_daemon dockerd run_docker_version dockerd --config-file "$WORK/docker/daemon.json" \
        --host "unix://$WORK/docker/socket" --containerd "$WORK/containerd/socket" \
        --data-root "$WORK/docker/data" --exec-root "$WORK/docker/exec" --pidfile "$WORK/docker/pid" \
        --storage-driver vfs --iptables=false --ip6tables=false --bridge=none \
        --insecure-registry 127.0.0.0/8 || return 1
    echo "docker: engine $(run_docker version --format '{{.Server.Version}}')," \
        "client $(run_docker version --format '{{.Client.Version}}')"
}

run_docker() {
    as_root timeout --foreground --kill-after=5 "$CLIENT_TIME_MAX_SECONDS" \
        env DOCKER_CONFIG="$DOCKER_CONFIG" docker --host "unix://$WORK/docker/socket" "$@"
}

run_docker_version() { run_docker version; }

docker_reference() { echo "$PULK_ADDR/clients/docker/$1"; }

docker_id() { run_docker image inspect --format '{{.Id}}' "$1"; }

# Removes every image, so that a pull must fetch all of it.
docker_forget() {
    local ids left
    ids=$(run_docker images -q --no-trunc | sort -u)
    # shellcheck disable=SC2086
    [ -z "$ids" ] || run_docker rmi --force $ids
    left=$(run_docker images -q)
    same "images left" "" "$left"
}

# docker_push LOCAL NAME:TAG: keeps the id and the digest that docker reports.
docker_push() {
    run_docker tag "$1" "$(docker_reference "$2")"
    run_docker push "$(docker_reference "$2")" | tee "$WORK/docker.log"
    sed -n 's/.*digest: \(sha256:[0-9a-f]*\) .*/\1/p' "$WORK/docker.log" >"$WORK/docker.$3.digest"
    docker_id "$1" >"$WORK/docker.$3.id"
    [ -s "$WORK/docker.$3.digest" ] || { echo "docker reported no digest"; return 1; }
}

docker_pushes_an_image() {
    run_docker load -i "$WORK/image.tar"
    docker_push image:v1 image:v1 image
    # docker compresses the layers again; the config, which has the digests of the tars, stays the same.
    same "config pushed" "$DIGEST_IMAGE_CONFIG" "$(images config-of "$PULK_ADDR" clients/docker/image v1)"
}

# docker_pull REFERENCE KEPT: the image must have the digest and the id that were pushed.
docker_pull() {
    docker_forget
    run_docker pull "$(docker_reference "$1")" | tee "$WORK/docker.log"
    grep -qxF "Digest: $(cat "$WORK/docker.$2.digest")" "$WORK/docker.log"
    same id "$(cat "$WORK/docker.$2.id")" "$(docker_id "$(docker_reference "$1")")"
}

docker_pulls_by_digest() {
    docker_pull "image@$(cat "$WORK/docker.image.digest")" image
}

docker_copies_between_repositories() {
    docker_pull image:v1 image
    run_docker tag "$(docker_reference image:v1)" "$(docker_reference copied/image:v1)"
    run_docker push "$(docker_reference copied/image:v1)" | tee "$WORK/docker.log"
    says 'Mounted from clients/docker/image' "$WORK/docker.log"
    docker_pull copied/image:v1 image
}

docker_tags() {
    docker_pull image:v1 image
    run_docker tag "$(docker_reference image:v1)" "$(docker_reference image:v2)"
    run_docker push "$(docker_reference image:v2)"
    docker_pull image:v2 image
}

# docker lists tags only when it pulls all of them.
docker_pulls_all_tags() {
    docker_forget
    run_docker pull --all-tags "$(docker_reference image)"
    same tags $'v1\nv2' "$(run_docker images --format '{{.Tag}}' "$(docker_reference image)" | sort)"
}

docker_pushes_the_large_layer() {
    run_docker load -i "$WORK/large.tar"
    docker_push large:v1 large:v1 large
}

# The bytes of the layer, as docker saves them: as a tar, or as pushed.
docker_pulls_the_large_layer() {
    docker_pull large:v1 large
    rm -rf "$WORK/saved"
    mkdir "$WORK/saved"
    run_docker save "$(docker_reference large:v1)" | tar -xf - -C "$WORK/saved"
    images has-content "$WORK/saved" "$DIGEST_LARGE_LAYER_BARE" "$DIGEST_LARGE_LAYER"
    rm -rf "$WORK/saved"
}

# A manifest list that docker creates from what it pushed; the client itself talks to the registry.
docker_makes_a_manifest_list() {
    local number list
    run_docker load -i "$WORK/index.tar"
    list=$(docker_reference made:v1)
    for number in 0 1 2; do
        run_docker tag "index:$number" "$(docker_reference "made:$number")"
        run_docker push "$(docker_reference "made:$number")"
    done
    run_docker manifest create --insecure "$list" \
        "$(docker_reference made:0)" "$(docker_reference made:1)" "$(docker_reference made:2)"
    run_docker manifest push --insecure "$list" | tail -n 1 >"$WORK/docker.list.digest"
    docker_forget
    run_docker pull "$list" | tee "$WORK/docker.log"
    grep -qxF "Digest: $(cat "$WORK/docker.list.digest")" "$WORK/docker.log"
    same "layers of this platform" "$LAYERS_INDEX_0" "$(docker_layers "$list")"
}

# The layers as tars, whatever docker's storage and compression.
docker_layers() { run_docker image inspect --format '{{join .RootFS.Layers " "}}' "$1"; }

docker_pulls_an_index() {
    local index
    images push "$IMAGES/index" "$PULK_ADDR" clients/docker/index
    index=$(docker_reference index:v1)
    docker_forget
    run_docker pull "$index" | tee "$WORK/docker.log"
    grep -qxF "Digest: $DIGEST_INDEX" "$WORK/docker.log"
    same "layers of this platform" "$LAYERS_INDEX_0" "$(docker_layers "$index")"
    docker_forget
    run_docker pull --platform "$PLATFORM_1" "$index"
    same "layers of the other platform" "$LAYERS_INDEX_1" "$(docker_layers "$index")"
}

checks_docker() {
    check "pushes an image" docker_pushes_an_image
    check "pulls it back unchanged" docker_pull image:v1 image
    check "pulls it by digest" docker_pulls_by_digest
    check "copies between repositories by mounting" docker_copies_between_repositories
    check "tags" docker_tags
    check "lists the tags and pulls them all" docker_pulls_all_tags
    check "pushes a layer of 300 MB" docker_pushes_the_large_layer
    check "pulls the 300 MB back unchanged" docker_pulls_the_large_layer
    check "creates a manifest list of three platforms and pulls it" docker_makes_a_manifest_list
    check "pulls a multi-arch index for two platforms" docker_pulls_an_index
}
