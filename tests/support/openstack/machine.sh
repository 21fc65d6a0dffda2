#!/bin/bash
# A machine of the private OpenStack: an overlay on an image's root, namespaces of its own, an address on the bridge.
#   machine.sh up ID ROOT ADDRESS | down ID | is ID (prints on or off)
set -eu
dir=/bed/machines/$2 net=m-$2 cable=m${2:0:12}
root=$dir/root

# What its first process does before it is init.
boot='
root=$1
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for n in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
  set -- $n
  mknod -m 666 "$root/dev/$1" c "$2" "$3"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
rmdir /.old
# Where cloud-init looks for what the DMI of a real machine says.
exec env -i product_name="OpenStack Nova" /usr/sbin/init
'

case $1 in
up)
  mkdir -p "$dir/upper" "$dir/work" "$root"
  mount -t overlay overlay -o "lowerdir=$3,upperdir=$dir/upper,workdir=$dir/work" "$root"
  ip netns add "$net"
  ip link add "$cable" type veth peer name eth0 netns "$net"
  ip link set "$cable" master bridge up
  ip -n "$net" addr add "$4/24" dev eth0
  ip -n "$net" link set eth0 up
  ip -n "$net" link set lo up
  ip -n "$net" route add default via "${4%.*}.1"
  setsid ip netns exec "$net" unshare --mount --uts --ipc --pid --fork --kill-child sh -c "$boot" boot "$root" \
    </dev/null >"$dir/log" 2>&1 &
  echo $! >"$dir/pid"
  ;;
down)
  [ ! -e "$dir/pid" ] || kill -KILL "$(cat "$dir/pid")" 2>/dev/null || true
  ip netns del "$net" 2>/dev/null || true
  ip link del "$cable" 2>/dev/null || true
  for _ in {1..100}; do
    mountpoint -q "$root" || break
    umount "$root" 2>/dev/null || sleep 0.05
  done
  rm -rf --one-file-system "$dir"
  ;;
is) if kill -0 "$(cat "$dir/pid")" 2>/dev/null; then echo on; else echo off; fi ;;
esac
