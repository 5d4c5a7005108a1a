#!/bin/busybox sh
# The guest's first process: turns the host's root file system (hostfs, read
# only) into a writable root, then becomes the agent that runs the tests'
# commands. The guest_* variables come from the kernel's command line.
#
# busybox throughout: set-uid programs such as mount(8) refuse to work where
# the host's owner of the files is not the guest's root.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
b=/bin/busybox
root=/mnt/root

# Everything written goes to memory and is gone with the guest.
$b mount -t tmpfs tmpfs /mnt
$b mkdir /mnt/upper /mnt/work $root
$b mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $root
$b mkdir -p $root/.host $root/results

cd $root
$b pivot_root . .host
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b umount -l /.host
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs tmpfs /dev/shm
$b mount -t tmpfs tmpfs /run
$b mount -t configfs configfs /sys/kernel/config
$b mount -t debugfs debugfs /sys/kernel/debug
$b mount -t hostfs none /results -o "$guest_folder/results"
$b mkdir /run/requests
$b mount -t hostfs none /run/requests -o "$guest_folder/requests"
for fd in "fd /proc/self/fd" "stdin /proc/self/fd/0" "stdout /proc/self/fd/1" "stderr /proc/self/fd/2"; do
    $b ln -s "${fd#* }" "/dev/${fd%% *}"
done

$b hostname "$guest_name"
$b ip link set lo up
$b ip address add "$guest_address/24" dev vec0
# ip(8) of iproute2: busybox has no "nodad", and a duplicate check would keep
# the address unusable for a second
/bin/ip address add "$guest_address6/64" dev vec0 nodad
$b ip link set vec0 up

# nvme-cli wants a host identity
$b mkdir -p /etc/nvme
echo "nqn.2014-08.org.nvmexpress:uuid:$guest_hostid" >/etc/nvme/hostnqn
echo "$guest_hostid" >/etc/nvme/hostid

export HOME=/run LC_ALL=C.UTF-8
cd /results
exec /usr/bin/python3 -I -S "$guest_folder/agent.py"
