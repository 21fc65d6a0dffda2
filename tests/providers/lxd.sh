#!/bin/bash
# The driver of LXD and what all clouds share, against a real LXD: machines are made at once, listed with their addresses, let us in
# by the key of their user data, vanish when they are switched off, and are deleted. What is refused is told by its kind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cloud=$(realpath "${CLOUD:?the program that asks}")
# shellcheck source=../support/lxd.sh
. "$here/../support/lxd.sh"
out=''
fail() {
  printf 'FAILED at line %s: %s\n--- out\n%s\n' "${BASH_LINENO[${#BASH_LINENO[@]} - 2]}" "$*" "$out" >&2
  exit 1
}
has() { [[ $out == *"$1"* ]] || fail "this is missing: $1"; }
lacks() { [[ $out != *"$1"* ]] || fail "this should not be there: $1"; }
starts() { [[ $out == "$1"* ]] || fail "this is no: $1"; }
started=$EPOCHREALTIME
# How long it took, for people.
took() {
  local now=$EPOCHREALTIME
  printf '%-28s %5d ms\n' "$1" $(((${now/./} - ${started/./}) / 1000))
  started=$EPOCHREALTIME
}
# SETTING=VALUE... CALL [ARGUMENT]...; -s STORE first.
ask() {
  local store=1
  if [ "$1" = -s ]; then
    store=$2
    shift 2
  fi
  out=$("$cloud" -s "$store" lxd "socket=$lxd/lxd/unix.socket" "$@" 2>&1) || true
}
# The same over https: who we are comes first.
ask_tls() {
  local who=$1
  shift
  out=$("$cloud" lxd "url=$lxd_url" "server_cert=$lxd/lxd/server.crt" "cert=$lxd/$who.crt" "key=$lxd/$who.key" "$@" 2>&1) || true
}
wait_until() {
  for _ in {1..300}; do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  fail "never came true: $*"
}
listed() { # LINES: what is listed, `|` between
  ask list
  [[ ${out//$'\n'/|} =~ ^$1$ ]]
}
lets_in() {
  timeout 20 ssh -i "$lxd/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes \
    -o ConnectTimeout=3 "root@$1" "${@:2}" 2>/dev/null
}

lxd_up
lxd_image
cat >"$lxd/user-data" <<END
#!/bin/sh
mkdir -p /root/.ssh
echo '$(cat "$lxd/id.pub")' >/root/.ssh/authorized_keys
END
took 'LXD is up'

ask check dkrun
starts 'FINE lxd 5.'
has ' over its socket, image dkrun, profile default'
ask check nothing/12
starts 'BAD lab: there is no image `nothing/12` in project `default`'
ask profile=nothing check dkrun
starts 'BAD lab: there is no profile `nothing`'
ask project=nothing check dkrun
starts 'BAD lab: there is no project `nothing`'
ask project=nothing list
starts 'BAD lab: there is no project `nothing`'
ask list
[ "$out" = 'FINE complete' ] || fail 'there are none'

# Three at once; another store's beside them, and somebody's own.
started=$EPOCHREALTIME
ask create dkrun "$lxd/user-data" dk-1 dk-2 dk-3
[ "$(sort <<<"$out")" = $'FINE dk-1\nFINE dk-2\nFINE dk-3' ] || fail 'made'
took 'three are made'
ask -s 2 create dkrun "$lxd/user-data" dk2-1
[ "$out" = 'FINE dk2-1' ] || fail 'of another store'
lxd_lxc -q init dkrun own
row='RUNNING store=01 age=[0-9]{1,2} address=10\.[0-9.]+'
wait_until listed "dk-1 dk-1 $row\|dk-2 dk-2 $row\|dk-3 dk-3 $row\|dk2-1 dk2-1 ${row/01/02}\|FINE complete"
took 'all have addresses'
address=$(sed -n 's/^dk-2 .*address=//p' <<<"$out")
wait_until lets_in "$address" true
took 'one lets us in'
[ "$(lets_in "$address" uname -n)" = dk-2 ] || fail 'its name'

# Made once more: it is there already, and ours. Somebody else's is none of ours.
ask create dkrun "$lxd/user-data" dk-1
[ "$out" = 'FINE dk-1' ] || fail 'once more'
ask create dkrun "$lxd/user-data" dk2-1
starts "BAD lab: create dk2-1: look at it: there is a machine of this name that is not this store's"
ask create dkrun "$lxd/user-data" own
starts 'BAD lab: create own: '

# Switched off it is gone; what is gone is absent.
lets_in "$address" 'shutdown -P now' || true
wait_until listed "dk-1 [^|]*\|dk-3 [^|]*\|dk2-1 [^|]*\|FINE complete"
ask delete dk-2
[ "$out" = 'FINE dk-2 absent' ] || fail 'it was gone'
started=$EPOCHREALTIME
ask delete dk-1 dk-3
[ "$(sort <<<"$out")" = $'FINE dk-1 deleted\nFINE dk-3 deleted' ] || fail 'deleted'
took 'two are deleted'
listed "dk2-1 [^|]*\|FINE complete" || fail 'what is left'
ask project=nothing delete dk2-1
starts 'BAD lab: there is no project `nothing`'

# An image of one that runs: it stops, and stays; two at once are made from it, with what was on it.
ask create dkrun "$lxd/user-data" dk-1
wait_until listed "dk-1 dk-1 $row\|dk2-1 [^|]*\|FINE complete"
address=$(sed -n 's/^dk-1 .*address=//p' <<<"$out")
wait_until lets_in "$address" 'echo it >/root/kept; sync'
recipe=$(printf 'a%063d' 3)
ask images
[ "$out" = 'FINE complete' ] || fail 'there are none'
started=$EPOCHREALTIME
ask snapshot dk-1 dk-image-1 "$recipe"
[[ $out =~ ^FINE\ [0-9a-f]{64}$ ]] || fail 'its image'
image=${out#FINE }
took 'an image is made'
listed "dk-1 dk-1 STOPPED [^|]*\|dk2-1 [^|]*\|FINE complete" || fail 'it is there, and stopped'
ask -s 2 images
[[ $out =~ ^$image\ READY\ recipe=$recipe\ store=01\ MiB=[1-9][0-9]*\ age=[0-9]{1,2}$'\n'FINE\ complete$ ]] || fail 'listed'
ask create-of "$image" "$lxd/user-data" dk-2 dk-3
[ "$(sort <<<"$out")" = $'FINE dk-2\nFINE dk-3' ] || fail 'made from it'
took 'two are made from it'
wait_until listed "dk-1 [^|]*\|dk-2 dk-2 $row\|dk-3 dk-3 $row\|dk2-1 [^|]*\|FINE complete"
address=$(sed -n 's/^dk-3 .*address=//p' <<<"$out")
wait_until lets_in "$address" 'cat /root/kept'
ask snapshot dk-1 dk-image-2 "$recipe"
[[ $out == FINE* || $out == DOUBT* ]] || fail 'the same once more'
ask snapshot nothing dk-image-3 "$recipe"
starts 'BAD lab: make an image of nothing: '
ask delete dk-1 dk-2 dk-3
[ "$(sort <<<"$out")" = $'FINE dk-1 deleted\nFINE dk-2 deleted\nFINE dk-3 deleted' ] || fail 'deleted'
ask images
# shellcheck disable=SC2046 # words
ask delete-image $(sed -n 's/ READY.*//p' <<<"$out")
lacks absent
ask delete-image "$image"
[ "$out" = "FINE $image absent" ] || fail 'it was gone'
ask images
[ "$out" = 'FINE complete' ] || fail 'none is left'
ask project=nothing images
starts 'BAD lab: there is no project `nothing`'

# One that was made and never started, as when the engine died in between: it is started, and it can be deleted.
store=$(printf '01%030d' 0)
lxd_lxc -q init dkrun dk-4 --ephemeral -c user.dkrun.store="$store"
listed "dk-4 dk-4 STOPPED [^|]*address=\|dk2-1 [^|]*\|FINE complete" || fail 'it does not run'
ask create dkrun "$lxd/user-data" dk-4
[ "$out" = 'FINE dk-4' ] || fail 'started'
lxd_lxc -q init dkrun dk-5 --ephemeral -c user.dkrun.store="$store"
ask delete dk-4 dk-5
[ "$(sort <<<"$out")" = $'FINE dk-4 deleted\nFINE dk-5 deleted' ] || fail 'both'

# What is refused, and nothing of it stays.
ask create nothing "$lxd/user-data" dk-6
starts 'BAD lab: create dk-6: '
ask create "$(printf '%064d' 7)" "$lxd/user-data" dk-6
starts 'BAD lab: create dk-6: '
ask profile=nothing create dkrun "$lxd/user-data" dk-6
starts 'BAD lab: create dk-6: '
ask pool=nothing create dkrun "$lxd/user-data" dk-6
starts 'BAD lab: create dk-6: '
lxd_lxc -q project create small -c features.images=false -c features.profiles=false -c limits.instances=1
ask project=small create dkrun "$lxd/user-data" dk-6
[ "$out" = 'FINE dk-6' ] || fail 'the project may have one'
ask project=small create dkrun "$lxd/user-data" dk-7
starts 'QUOTA lab: create dk-7: Reached maximum number of instances in project "small"'
ask project=small delete dk-6
lxd_lxc -q storage create tiny btrfs size=130MiB
ask pool=tiny create dkrun "$lxd/user-data" dk-6
starts 'CAPACITY lab: create dk-6: '
# A machine whose first program is not there cannot be started: it is made, and deleted again.
lxd_lxc -q profile copy default broken
lxd_lxc -q profile set broken raw.lxc 'lxc.init.cmd = /nowhere'
ask profile=broken create dkrun "$lxd/user-data" dk-6
lacks 'FINE'
lacks 'DOUBT'
has 'lab: create dk-6: start it: '
listed "dk2-1 [^|]*\|FINE complete" || fail 'nothing of it stays'

# Over TLS: by the server's own certificate and ours.
lxd_tls
ask_tls client check dkrun
starts "FINE lxd 5."
has " at $lxd_url, image dkrun"
ask_tls client create dkrun "$lxd/user-data" dk-8
[ "$out" = 'FINE dk-8' ] || fail 'over TLS'
ask_tls client delete dk-8
[ "$out" = 'FINE dk-8 deleted' ] || fail 'over TLS'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=eve -keyout "$lxd/eve.key" -out "$lxd/eve.crt" 2>/dev/null
for call in 'check dkrun' "create dkrun $lxd/user-data dk-9" list 'delete dk-9'; do
  # shellcheck disable=SC2086 # words
  ask_tls eve $call
  starts 'DENIED lab: '
done
out=$("$cloud" lxd "url=$lxd_url" "server_cert=$lxd/client.crt" "cert=$lxd/client.crt" "key=$lxd/client.key" list 2>&1) || true
starts 'DENIED lab: list machines: '
has 'another certificate than'
out=$("$cloud" lxd "url=$lxd_url" "cert=$lxd/client.crt" "key=$lxd/client.key" list 2>&1) || true
starts 'DENIED lab: list machines: '

# The server is away: nothing was made. Settings that cannot be.
lxd_server down
is_away() { ! lxd_api GET /1.0; } >/dev/null 2>&1
wait_until is_away
ask create dkrun "$lxd/user-data" dk-9
starts 'TRANSIENT lab: create dk-9: '
ask check dkrun
starts 'TRANSIENT lab: check: '
lxd_server up
listed "dk2-1 [^|]*\|FINE complete" || fail 'it is back'
ask -s 2 delete dk2-1
[ "$out" = 'FINE dk2-1 deleted' ] || fail 'the last one'
ask "url=$lxd_url" list
starts 'failed: lab: `url` and `socket` are two servers'
out=$("$cloud" lxd "url=$lxd_url" list 2>&1) || true
starts 'failed: lab: `url` wants `cert` and `key`'
out=$("$cloud" lxd "url=$lxd_url" cert=/nowhere key=/nowhere list 2>&1) || true
starts 'failed: lab: reading /nowhere: '
[ "$(lxd_lxc list -f csv -c n --all-projects)" = own ] || fail 'something is left'
