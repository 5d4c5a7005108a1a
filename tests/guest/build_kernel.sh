#!/bin/bash
# Builds the guest kernel (User Mode Linux with NVMe/TCP) from Debian's kernel
# source and prints the path of the binary. With the kernel in the cache this
# takes milliseconds.
#
#   MAYASTOR_CACHE        cache folder (default ${XDG_CACHE_HOME:-~/.cache}/mayastor)
#   MAYASTOR_GUEST_JOBS   parallel compilers (default: all CPUs)
set -euo pipefail
umask 022
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
config=$here/kernel.config
source_package=linux-source-6.1
build_packages="gcc libc6-dev make flex bison bc xz-utils"
needed_mb=4000

say() { echo "build_kernel: $*" >&2; }

# die REASON WAY_OUT
die() {
    say "error: $1"
    say "  what to do: $2"
    exit 1
}

cache_folder() {
    if [ -n "${MAYASTOR_CACHE:-}" ]; then
        echo "$MAYASTOR_CACHE/guest"
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then
        echo "$XDG_CACHE_HOME/mayastor/guest"
    elif [ -n "${HOME:-}" ]; then
        echo "$HOME/.cache/mayastor/guest"
    else
        die "none of MAYASTOR_CACHE, XDG_CACHE_HOME and HOME is set" \
            "set MAYASTOR_CACHE to a folder with $needed_mb MB free"
    fi
}

# The newest kernel built with this very option list. The source's version is
# not asked for here: that needs apt, which is slow and may be offline.
print_cached() {
    local found
    found=$(ls -1dt "$cache"/*-"$config_hash"/linux 2>/dev/null | head -n 1 || true)
    [ -n "$found" ] && [ -x "$found" ] && echo "$found"
}

require_packages() {
    local package missing=""
    for package in $build_packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return
    [ "$(id -u)" = 0 ] ||
        die "packages missing:$missing" "run as root: apt-get install$missing"
    say "installing$missing"
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing \
        >>"$log" 2>&1 ||
        die "apt-get could not install$missing (log: $log)" \
            "run 'apt-get update' and 'apt-get install$missing' and read what it says"
}

require_space() {
    local free
    free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$needed_mb" ] ||
        die "$cache has $free MB free, the build needs $needed_mb MB" \
            "free some space or set MAYASTOR_CACHE to a larger file system"
}

source_version() {
    apt-cache show --no-all-versions "$source_package" 2>/dev/null |
        sed -n 's/^Version: //p' | head -n 1
}

download_source() {
    # The index may be absent, or name a version the mirror has dropped.
    if [ -z "$(source_version)" ] || ! apt-get download "$source_package" >>"$log" 2>&1; then
        apt-get update >>"$log" 2>&1 || true
        apt-get download "$source_package" >>"$log" 2>&1 ||
            die "apt-get could not download $source_package (log: $log)" \
                "check the network and that the Debian 12 'main' archive is among apt's sources"
    fi
}

unpack_source() {
    dpkg-deb --fsys-tarfile "$source_package"_*.deb |
        tar -xO "./usr/src/$source_package.tar.xz" | tar -xJ ||
        die "could not unpack $source_package" "remove $work and try again (disk full?)"
    rm -f "$source_package"_*.deb
}

# run_make ARGUMENTS...
run_make() {
    nice -n 10 make -C "$work/$source_package" ARCH=um "$@" >>"$log" 2>&1 && return
    tail -n 20 "$log" >&2
    die "'make ARCH=um $*' failed" "read the whole log: $log"
}

# Fails when kconfig dropped an option the tests cannot do without.
check_options() {
    local option
    for option in HOSTFS OVERLAY_FS SSL UML_NET_VECTOR NVME_TCP NVME_MULTIPATH \
        NVME_TARGET_TCP CONFIGFS_FS EXT4_FS XFS_FS NET_SCH_NETEM BLK_DEV_NULL_BLK; do
        grep -q "^CONFIG_$option=y" "$work/$source_package/.config" ||
            die "the kernel's configuration lost CONFIG_$option" \
                "look in $config for an option it depends on"
    done
}

build() {
    local version target jobs=${MAYASTOR_GUEST_JOBS:-$(nproc)}
    cd "$work"
    say "downloading $source_package"
    download_source
    version=$(dpkg-deb -f "$source_package"_*.deb Version)
    say "unpacking $version"
    unpack_source
    say "compiling (some minutes; log: $log)"
    run_make mrproper
    run_make KCONFIG_ALLCONFIG="$config" allnoconfig
    check_options
    run_make -j"$jobs" linux
    strip "$source_package/linux"
    target=$cache/$version-$config_hash
    mkdir -p "$target"
    cp "$source_package/.config" "$target/config"
    # Rename last: a binary that is there is a complete one.
    cp "$source_package/linux" "$target/linux.new"
    chmod 755 "$target/linux.new"
    mv "$target/linux.new" "$target/linux"
}

cache=$(cache_folder)
case $cache in
/*) ;;
*) cache=$PWD/$cache ;;
esac
config_hash=$(sha256sum <"$config" | cut -c 1-12)
print_cached && exit

mkdir -p "$cache" 2>/dev/null ||
    die "cannot create $cache" "set MAYASTOR_CACHE to a folder you may write to"
exec 9>"$cache/lock"
if ! flock -n 9; then
    say "another build is running, waiting for it"
    flock 9
fi
print_cached && exit

log=$cache/build.log
work=$cache/build
: >"$log"
rm -rf "$work" # of a build that was killed
mkdir "$work"
trap 'cd /; rm -rf "$work"' EXIT
require_space
require_packages
build 9>&-
print_cached
