# shellcheck shell=bash
# Sourced by the scripts that test pulk on a filesystem of their own, after server.sh: an ext4 on a loop device, checks,
# and requests. Needs root, mkfs.ext4, losetup, mount and curl.

PASSED=0
FAILED=0
MOUNTED=""

# mount_image MIB WHAT: mounts a new ext4 of that size on $MOUNTED, or ends the script without a test of WHAT.
mount_image() {
    local mib=$1 what=$2 tool
    [ "$(id -u)" = 0 ] || skip "this needs root" "$what"
    for tool in mkfs.ext4 losetup mount curl; do
        command -v "$tool" >/dev/null || skip "there is no $tool" "$what"
    done
    find_pulk
    truncate -s "${mib}M" "$WORK/image"
    mkfs.ext4 -q -m 0 "$WORK/image"
    mkdir "$WORK/disk"
    mount -o loop "$WORK/image" "$WORK/disk" 2>"$WORK/mount.log" ||
        skip "no loop device: $(cat "$WORK/mount.log")" "$what"
    MOUNTED=$WORK/disk
}

skip() {
    echo "SKIPPED: $1: nothing was tested on $2"
    echo "0 passed, 0 failed"
    exit 0
}

before_end() {
    kill_pulk
    [ -z "$MOUNTED" ] || umount -R "$MOUNTED" || umount -l "$MOUNTED"
}

# Prints the number of checks, and fails if one failed.
count_checks() {
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ]
}

# check WHAT COMMAND ...: counts a check that passes when the command does.
check() {
    local what=$1; shift
    if "$@"; then
        PASSED=$((PASSED + 1))
        echo "ok    $what"
    else
        FAILED=$((FAILED + 1))
        echo "FAIL  $what"
        [ ! -f "$WORK/answer" ] || { cat "$WORK/head" "$WORK/answer"; echo; } | head -c 2000
    fi
}

# ask METHOD PATH [CURL ARGUMENT ...]: sets STATUS; the answer is in $WORK/head and $WORK/answer.
ask() {
    local method=$1 path=$2; shift 2
    STATUS=$(curl -s -o "$WORK/answer" -D "$WORK/head" -w '%{http_code}' --max-time 120 \
        -X "$method" "http://$PULK_ADDR$path" "$@" || true)
}

is() { [ "$STATUS" = "$1" ]; }
is_one_of() { local one; for one in "$@"; do [ "$STATUS" != "$one" ] || return 0; done; return 1; }
says() { grep -qi -- "$1" "$WORK/answer"; }
has_header() { grep -qi "^$1" "$WORK/head"; }

digest_of() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

# Stores a file as a blob in one request.
push_blob() {
    ask POST "/v2/app/blobs/uploads/?digest=$(digest_of "$1")" -H 'Content-Type: application/octet-stream' \
        --data-binary "@$1"
}

# Stores a config, and writes a manifest with it to $WORK/manifest.
push_config() {
    echo '{}' >"$WORK/config"
    push_blob "$WORK/config"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[]}' \
        "$(digest_of "$WORK/config")" "$(stat -c %s "$WORK/config")" >"$WORK/manifest"
}

push_manifest() {
    ask PUT "/v2/app/manifests/$1" -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        --data-binary "@$WORK/manifest"
}

# Tells whether a blob is pulled byte for byte.
pulls_back() {
    curl -s --max-time 120 "http://$PULK_ADDR/v2/app/blobs/$1" | sha256sum | grep -q "^${1#sha256:} "
}

every_blob_pulls_back() {
    local digest
    for digest in "${PUSHED[@]}"; do pulls_back "$digest" || { echo "lost: $digest"; return 1; }; done
}
