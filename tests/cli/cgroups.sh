#!/bin/bash
# Memory limits by both versions of cgroups, and by a user's own group, on kernels of its own (user-mode Linux), so that the groups of this
# machine stay as they are. By hand, after a change of what it tests: DK_TEST_KERNELS=1, with Debian's user-mode-linux. Else it is skipped: such
# a kernel takes minutes on a busy machine.
set -euo pipefail
dkrun=$(realpath "${DKRUN:?the program to test}")
here=$(cd "$(dirname "$0")" && pwd)
[ -n "${DK_TEST_KERNELS-}" ] || { echo "skipped: DK_TEST_KERNELS is not set"; exit 77; }
kernel=$(command -v linux.uml) || { echo "skipped: no user-mode Linux here (linux.uml)"; exit 77; }
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
