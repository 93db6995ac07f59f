# shellcheck shell=bash
# Sourced by tests/powercut/run: a filesystem on a loop device on a simulated drive.
# Uses WORK, FILESYSTEM; sets MOUNT (its root) and CONTROL (the drive's socket).

DRIVE_SIZE=4G
DRIVE_PID=""
LOOP=""
DISK=""
MOUNT="$WORK/mounted"
CONTROL="$WORK/drive.sock"

# Prints why power cuts cannot be tested here; prints nothing if they can.
why_no_device() {
    if [ "$(id -u)" != 0 ]; then echo "needs root"
    elif [ ! -e /dev/loop-control ] || ! losetup --find >/dev/null 2>&1; then echo "needs loop devices"
    elif [ "$FILESYSTEM" = btrfs ] && ! has_drive; then echo "needs /dev/fuse for cuts on btrfs"
    fi
}

# Whether a simulated drive is possible. Otherwise a plain file replaces it, whose cache cannot be lost.
has_drive() { [ -e /dev/fuse ]; }

install_tools() {
    local package
    case $FILESYSTEM in
        ext4) package=e2fsprogs ;;
        xfs) package=xfsprogs ;;
        btrfs) package=btrfs-progs ;;
    esac
    if ! command -v "mkfs.$FILESYSTEM" >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        retry_once sh -c "apt-get update -qq && apt-get install -y -qq $package" >&2
    fi
}

# The default mount options, and options that hide fewer forgotten syncs than the defaults do.
mount_options() {
    case $FILESYSTEM in
        ext4) local all=(defaults noauto_da_alloc "data=writeback,noauto_da_alloc,commit=1") ;;
        *) local all=(defaults) ;;
    esac
    echo "${all[$1 % ${#all[@]}]}"
}

# mountpoint(1) fails on a filesystem that is shut down.
is_mounted() { grep -qF " $1 " /proc/self/mounts; }

attach() {
    # Direct I/O, so that the drive decides what survives, and not the page cache under the loop device.
    LOOP=$(losetup --find --show --direct-io=on "$DISK")
    mount -t "$FILESYSTEM" -o "$OPTIONS" "$LOOP" "$MOUNT"
}

detach() {
    local tries=0
    if is_mounted "$MOUNT"; then
        until umount "$MOUNT" 2>/dev/null; do
            tries=$((tries + 1))
            [ "$tries" -lt 50 ] || { umount "$MOUNT"; return 1; }
            sleep 0.1
        done
    fi
    [ -z "$LOOP" ] || losetup --detach "$LOOP"
    LOOP=""
}

# new_device NUMBER: creates a drive with an empty filesystem, and mounts it.
new_device() {
    OPTIONS=$(mount_options "$1")
    mkdir -p "$MOUNT"
    DISK="$WORK/drive.img"
    rm -f "$DISK"
    truncate -s "$DRIVE_SIZE" "$DISK"
    ! has_drive || start_drive "$1"
    LOOP=$(losetup --find --show --direct-io=on "$DISK")
    case $FILESYSTEM in
        ext4) mkfs.ext4 -q -E nodiscard "$LOOP" ;;
        xfs) mkfs.xfs -q -K "$LOOP" ;;
        btrfs) mkfs.btrfs -q -K "$LOOP" ;;
    esac
    mount -t "$FILESYSTEM" -o "$OPTIONS" "$LOOP" "$MOUNT"
}

# start_drive NUMBER: serves the image as a drive that can lose its cache.
start_drive() {
    mkdir -p "$WORK/drive"
    rm -f "$CONTROL"
    python3 -B "$HERE/drive.py" "$WORK/drive.img" "$WORK/drive" "$CONTROL" "$((SEED + $1))" &
    DRIVE_PID=$!
    local waited=0
    until [ -S "$CONTROL" ]; do
        if ! kill -0 "$DRIVE_PID" 2>/dev/null || [ "$waited" -ge 200 ]; then
            echo "the simulated drive did not start" >&2
            return 1
        fi
        waited=$((waited + 1))
        sleep 0.05
    done
    DISK="$WORK/drive/disk"
}

# Restores power. What was only in memory is gone, and so is what the drive lost.
power_on() {
    detach
    [ -z "$DRIVE_PID" ] || python3 -B "$HERE/cut.py" "power:$CONTROL"
    attach
}

# Runs the filesystem's own check. Its journal was replayed by then.
check_filesystem() {
    detach || return 0
    LOOP=$(losetup --find --show --read-only "$DISK")
    local code=0
    case $FILESYSTEM in
        ext4) e2fsck -fn "$LOOP" >"$WORK/fsck.log" 2>&1 || code=$? ;;
        xfs) xfs_repair -n "$LOOP" >"$WORK/fsck.log" 2>&1 || code=$? ;;
        btrfs) btrfs check --readonly "$LOOP" >"$WORK/fsck.log" 2>&1 || code=$? ;;
    esac
    if [ "$code" = 0 ]; then
        echo "  the filesystem is consistent"
    else
        echo "  note: the filesystem's own check exits with $code:"
        tail -n 5 "$WORK/fsck.log" | sed 's/^/    /'
    fi
    detach
}

end_device() {
    detach || umount --lazy "$MOUNT" || true
    ! is_mounted "$WORK/drive" || umount "$WORK/drive" || umount --lazy "$WORK/drive"
    if [ -n "$DRIVE_PID" ]; then
        # It ends by itself when it is unmounted.
        local waited=0
        while kill -0 "$DRIVE_PID" 2>/dev/null && [ "$waited" -lt 50 ]; do
            waited=$((waited + 1))
            sleep 0.1
        done
        kill -KILL "$DRIVE_PID" 2>/dev/null || true
        wait "$DRIVE_PID" 2>/dev/null || true
        DRIVE_PID=""
    fi
}
