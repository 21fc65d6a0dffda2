#!/bin/bash
# openstack_image.sh DIR: makes what a private OpenStack starts from (openstack.sh), from Debian's packages of this
# machine's release: DIR/root has the services (section [openstack] of packages.txt), DIR/bed their empty databases and
# keys, DIR/machine.tar is the root of its machines, with sshd and cloud-init. As root; fetches 250 MB, has 1.7 GB in
# the end.
set -euo pipefail
out=$1
here=$(cd "$(dirname "$0")" && pwd)

# In a mount namespace: what is mounted here ends with it; in a network of its own when the databases are made.
if [ "${2-}" != inside ]; then
  mkdir -p "$out"
  exec unshare --mount bash "$0" "$out" inside
fi
mount --make-rprivate /
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # apt's own variables
mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
  awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }')
started=$SECONDS
took() { echo "$((SECONDS - started)) s: $*" | tee -a "$out/log"; }
died() {
  tail -n 5 "$out/log" >&2
  exit 1
}
trap died ERR

debootstrap --variant=minbase --include=ca-certificates "$suite" "$out/root" ${mirror:+"$mirror"} </dev/null >"$out/log" 2>&1
took 'debootstrap'
# No service is started, no disk is waited for, no page of a manual kept.
printf '#!/bin/sh\nexit 101\n' >"$out/root/usr/sbin/policy-rc.d"
chmod 755 "$out/root/usr/sbin/policy-rc.d"
echo force-unsafe-io >"$out/root/etc/dpkg/dpkg.cfg.d/dkrun"
printf 'path-exclude /usr/share/%s/*\n' man doc locale >>"$out/root/etc/dpkg/dpkg.cfg.d/dkrun"
cp -a "$out/root" "$out/machine"
install() { # ROOT PACKAGE...
  local root=$1
  shift
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  env -u TMPDIR chroot "$root" apt-get update </dev/null >>"$out/log" 2>&1
  env -u TMPDIR chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -y --no-install-recommends "$@" \
    </dev/null >>"$out/log" 2>&1
  rm -rf "$root"/var/cache/apt/archives/*.deb
}
install "$out/machine" openssh-server iproute2 procps sudo cloud-init
took 'packages of a machine'
mapfile -t packages < <(sed -n '/^\[openstack\]/,/^\[/s/^\([a-z0-9][a-z0-9.+-]*\).*/\1/p' "$here/../../packages.txt")
install "$out/root" iproute2 curl "${packages[@]}" # packages.txt names none twice
took 'packages of the services'

cp "$here/openstack/machine_init.sh" "$out/machine/usr/sbin/init"
cp "$here/openstack/machine_shutdown.sh" "$out/machine/usr/sbin/shutdown"
chmod 755 "$out/machine/usr/sbin/init" "$out/machine/usr/sbin/shutdown"
cp "$here/openstack/machine_cloud.cfg" "$out/machine/etc/cloud/cloud.cfg.d/99_dkrun.cfg"
rm -f "$out"/machine/etc/ssh/ssh_host_* "$out/machine/usr/sbin/policy-rc.d"
: >"$out/machine/etc/resolv.conf" # no name server is reached from there: cloud-init would wait for one for 30 s
umount -R "$out/machine/proc" "$out/machine/dev"
rm -rf "$out"/machine/var/lib/apt/lists/*
tar -C "$out/machine" --numeric-owner -cf "$out/machine.tar" .
rm -rf --one-file-system "$out/machine"
took 'image'

mkdir -p "$out/bed" "$out/root/bed"
mount --bind "$out/bed" "$out/root/bed"
mkdir "$out/bed/support"
cp "$here"/openstack/* "$out/bed/support/"
env -i /usr/bin/unshare --net --pid --fork --kill-child /usr/sbin/chroot "$out/root" bash /bed/support/setup.sh </dev/null >>"$out/log" 2>&1
rm -rf "$out/bed/support"
umount -R "$out/root/bed" "$out/root/proc" "$out/root/dev"
took 'databases'
