#!/bin/bash
# Memory limits by cgroups (memory.sh). Where a group may be made, on this machine: in one of the test's own, so that those of others stay as
# they are. By hand, after a change of what it tests, on kernels of its own instead, with both versions and a user's own group:
# DK_TEST_KERNELS=1, with Debian's user-mode-linux; such a kernel takes minutes on a busy machine.
set -euo pipefail
dkrun=$(realpath "${DKRUN:?the program to test}")
here=$(cd "$(dirname "$0")" && pwd)

# Where the hierarchy is that limits memory: v1, or v2 if its root hands that on.
hierarchy() {
  local mount kind options
  while read -r _ mount kind options _; do
    if [[ $kind == cgroup && ,$options, == *,memory,* ]] ||
      { [ "$kind" = cgroup2 ] && grep -qw memory "$mount/cgroup.subtree_control"; }; then
      echo "$mount"
      return
    fi
  done </proc/mounts
}
# What was killed in it may be leaving.
# shellcheck disable=SC2317 # the trap calls it
drop_group() {
  local n
  for ((n = 0; n < 250; n++)); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && return
    sleep 0.02
  done
  echo "it cannot be removed: $group"
  exit 1
}

if [ -z "${DK_TEST_KERNELS-}" ]; then
  group=$(hierarchy)
  if [ -z "$group" ] || ! mkdir "$group/dkrun-test-$$" 2>/dev/null; then
    echo "skipped: no group that limits memory can be made here; on kernels of the test's own: DK_TEST_KERNELS=1"
    exit 77
  fi
  group=$group/dkrun-test-$$
  trap drop_group EXIT
  DKRUN=$dkrun DK_TEST_CGROUP=$group bash "$here/memory.sh" cgroups
  exit
fi

kernel=$(command -v linux.uml) || { echo "no user-mode Linux here (linux.uml): Debian's user-mode-linux"; exit 1; }
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
chmod 755 "$room"

# The first process of that kernel. Its root is this machine's, read-only; what is written goes into memory.
cat >"$room/init" <<END
#!/bin/bash
export PATH=$PATH HOME=/root DKRUN=$dkrun
END
# shellcheck disable=SC2129 # it is one text, part of which is quoted
cat >>"$room/init" <<'END'
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=1777 run /run
mount -t devtmpfs dev /dev 2>/dev/null
ln -sf /proc/self/fd /dev/fd
export TMPDIR=/run/room
mkdir -m 1777 /run/room
mode=$(sed 's/.*mode=\([a-z0-9]*\).*/\1/' /proc/cmdline)
all=/sys/fs/cgroup user=
if [ "$mode" = v1 ]; then
  mount -t tmpfs groups $all
  mkdir $all/memory
  mount -t cgroup -o memory groups $all/memory
else
  mount -t cgroup2 groups $all
fi
if [ "$mode" = own ]; then # as a service manager delegates one: dkrun's processes alone are in it
  echo +memory >$all/cgroup.subtree_control
  mkdir $all/user
  echo +memory >$all/user/cgroup.subtree_control
  mkdir $all/user/shell $all/user/dkrun
  chown -R 65534 $all/user
  echo $$ >$all/user/shell/cgroup.procs
  cat >/run/dkrun <<END2
#!/bin/sh
{ echo \$\$ >$all/user/dkrun/cgroup.procs || echo \$\$ >$all/user/dkrun/dkrun-agent/cgroup.procs; } 2>/dev/null
exec $DKRUN "\$@"
END2
  chmod 755 /run/dkrun
  export DKRUN=/run/dkrun HOME=/run
  user='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi
END
cat >>"$room/init" <<END
timeout 200 \$user bash $here/memory.sh cgroups >/run/said 2>&1
echo "ended with \$?"
cat /run/said
echo "top: \$(cd \$all && ls -d dkrun memory/dkrun user/dkrun/dkrun-agent 2>/dev/null | tr '\n' ' ')"
END
cat >>"$room/init" <<'END'
echo o >/proc/sysrq-trigger
sleep 60
END
chmod +x "$room/init"

failed=0
for mode in v2 v1 own; do
  # shellcheck disable=SC2086 # a name of a file on the kernel's command line has no blanks
  (cd "$room" && HOME=$room TMPDIR=$room timeout 250 "$kernel" mem=1200M root=none rootfstype=hostfs rootflags=/ ro init=$room/init \
    mode=$mode con=null con0=null,fd:1 </dev/null 2>&1 | cat >"$room/$mode.out") || true # a pipe: its console waits forever on a file
  if grep -q '^ended with 0' "$room/$mode.out"; then
    echo "$mode: well; $(grep '^top: ' "$room/$mode.out" | tr -d '\r')"
  else
    echo "$mode: FAILED"
    tail -60 "$room/$mode.out"
    failed=1
  fi
done
exit $failed
