#!/bin/bash
# lxd_image.sh DIR: makes an image for LXD or Incus, DIR/{meta.tar,rootfs.squashfs}, from Debian's packages of this machine's
# release. As root. A machine of it has sshd, a POSIX shell, and an init of its own instead of systemd and cloud-init, which
# does what cloud images do with user data that is a script: runs it as root, once, after the network is there.
set -euo pipefail
out=$1

# In a mount namespace: debootstrap's mounts end with it, and on tmpfs dpkg's flushes cost nothing.
if [ "${2-}" != inside ]; then
  mkdir -p "$out/root"
  exec unshare --mount bash "$0" "$out" inside
fi
mount -t tmpfs -o mode=755,size=2g image "$out/root"
root=$out/root
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # apt's own variables
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
  awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')
debootstrap --variant=minbase --include=openssh-server,iproute2,procps,udhcpc "$suite" "$root" \
  ${mirror:+"$mirror"} </dev/null >"$out/log" 2>&1 || {
  tail -n 5 "$out/log" >&2
  exit 1
}
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/* "$root"/etc/ssh/ssh_host_*

cat >"$root/usr/sbin/init" <<'INIT'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
trap 'exit 0' PWR TERM INT
mkdir -p /run/sshd
ip link set lo up
ip link set eth0 up
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
udhcpc -i eth0 -t 20 -T 1 -b -p /run/udhcpc.pid -s /etc/udhcpc/default.script >/var/log/udhcpc 2>&1
# What another machine that this one is a copy of has run is not run again.
seed=/var/lib/cloud/seed/nocloud-net/user-data
if [ -s $seed ] && ! cmp -s $seed /var/lib/cloud/done; then
  cp $seed /var/lib/cloud/done
  cp $seed /run/user-data
  chmod 700 /run/user-data
  /run/user-data >/var/log/user-data 2>&1
fi
/usr/sbin/sshd -E /var/log/sshd
while :; do sleep 3600 & wait $!; done
INIT

# shutdown -P now, shutdown -P +MINUTES, shutdown -c
cat >"$root/usr/sbin/shutdown" <<'SHUTDOWN'
#!/bin/sh
case $1,$2 in
-c,) kill "$(cat /run/shutdown.pid)"; rm /run/shutdown.pid ;;
-P,now) busybox poweroff -f ;;
-P,+[0-9]*)
  setsid sh -c "sleep $((${2#+} * 60)); busybox poweroff -f" </dev/null >/dev/null 2>&1 &
  echo $! >/run/shutdown.pid
  ;;
*) echo "shutdown: -P now, -P +MINUTES or -c" >&2; exit 1 ;;
esac
SHUTDOWN
chmod 755 "$root/usr/sbin/init" "$root/usr/sbin/shutdown"

mkdir "$out/templates"
echo '{{ config_get("cloud-init.user-data", config_get("user.user-data", "")) }}' >"$out/templates/user-data.tpl"
cat >"$out/metadata.yaml" <<META
architecture: $(uname -m)
creation_date: $(date +%s)
properties: {os: debian, release: $suite, description: DeepKeeper test machine}
templates:
  /var/lib/cloud/seed/nocloud-net/user-data: {when: [create, copy], template: user-data.tpl}
META
tar -C "$out" -cf "$out/meta.tar" metadata.yaml templates
mksquashfs "$root" "$out/rootfs.squashfs" -comp zstd -Xcompression-level 1 -noappend -quiet -no-progress
umount "$root"
rm -rf "$root" "$out/templates" "$out/metadata.yaml"
