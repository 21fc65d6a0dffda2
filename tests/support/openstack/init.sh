#!/bin/bash
# The first process of a private OpenStack's namespaces: init.sh DIR IMAGE NETWORK. DIR/bed becomes /bed, IMAGE is what
# openstack_image.sh made. Makes its world and keeps it.
set -euo pipefail
dir=$1 image=$2 ip=10.215.$3.1
here=$(cd "$(dirname "$0")" && pwd)
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$image/root,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
cp -a "$image/bed/." "$dir/bed/"
mkdir "$dir/bed/support"
cp "$here"/* "$dir/bed/support/"
ln "$image/machine.tar" "$dir/bed/machine.tar" 2>/dev/null || cp "$image/machine.tar" "$dir/bed/machine.tar"
mkdir -p "$dir/root/bed"
mount --bind "$dir/bed" "$dir/root/bed"
mount -t proc proc "$dir/root/proc"
mount -t sysfs sysfs "$dir/root/sys"
mount --bind /dev "$dir/root/dev"
mount -t tmpfs -o mode=755 tmpfs "$dir/root/run"
echo node1 >/proc/sys/kernel/hostname
ip link set lo up
ip link add bridge type bridge
ip addr add "$ip/24" dev bridge
ip addr add 169.254.169.254/32 dev bridge # where machines ask who they are
ip link set bridge up
touch "$dir/bed/net"
env -i /usr/sbin/chroot "$dir/root" bash /bed/support/start.sh "$ip"
touch "$dir/bed/up"
while :; do sleep 3600; done
