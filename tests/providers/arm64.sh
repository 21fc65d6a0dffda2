#!/bin/bash
# The agent for 64-bit ARM, on this machine's processor by qemu: it is a static program of that kind, starts, and serves.
set -euo pipefail
[ -n "${DKAGENT_ARM64-}" ] || { echo "skipped: dkagent-aarch64 is not built here (./dev packages arm64)"; exit 77; }
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || { echo "skipped: no qemu-aarch64-static here"; exit 77; }
room=$(mktemp -d)
pid=
cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  rm -rf "$room"
}
trap cleanup EXIT
trap 'exit 143' TERM INT
fail() { echo "FAILED: $*" >&2; exit 1; }

# ELF, 64 bits, little-endian; machine 183 is AArch64; PT_INTERP (3) would want a loader.
perl -e '
  local $/; open my $f, "<:raw", $ARGV[0] or die; $_ = <$f>;
  my ($machine, $at, $size, $n) = (unpack("x18 v", $_), unpack("x32 Q<", $_), unpack("x54 v", $_), unpack("x56 v", $_));
  die "no ELF\n" unless /^\x7fELF\x02\x01/; die "machine $machine\n" unless $machine == 183;
  for my $i (0 .. $n - 1) { die "not static\n" if unpack("V", substr($_, $at + $i * $size, 4)) == 3 }' "$DKAGENT_ARM64" ||
  fail "what kind of program is $DKAGENT_ARM64?"
[ "$("$qemu" "$DKAGENT_ARM64" --version)" = "$("$DKAGENT" --version)" ] || fail "it says another version than dkagent"
mkdir -m 700 "$room/agent"
"$qemu" "$DKAGENT_ARM64" serve --root "$room/agent" --slots 1 --ledger off --cgroup off 2>"$room/err" &
pid=$!
is_served=no
for _ in {1..250}; do
  if [ -S "$room/agent/sock" ]; then is_served=yes; fi
  if [ $is_served = yes ] || ! kill -0 $pid 2>/dev/null; then break; fi
  sleep 0.04
done
[ $is_served = yes ] || fail "it does not serve: $(cat "$room/err" "$room/agent/log" 2>/dev/null)"
