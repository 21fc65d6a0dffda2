#!/bin/bash
# get: outputs that are at hosts. They come when they are wanted, whole, through whatever happens to host, ssh and engine; and what no
# host has any more is made again.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/hosts.sh"

at_end+=(hosts_down)
hosts_up 2

providers() {
  mkdir -p "$XDG_CONFIG_HOME/dkrun"
  cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<END
provider lab { kind = "ssh" hosts = $1 config = "$hosts/ssh_config" lost_after = ${2:-6s} }
END
}
no_engine() { [ ! -e .dkrun/engine.sock ]; }
# What a task said of its output when it made it, and what get brought.
sum_of() { "$dkrun" logs "$@" | grep -oE '[0-9a-f]{64}' | head -1; }
same() { [ "$(sum_of "${@:2}")" = "$(sha256sum <"$1" | cut -d' ' -f1)" ] || fail "$1 is not what ${*:2} made"; }
n_objects() { find .dkrun/objects -type f -path '*/??/*' -size "+4000k" | wc -l; }
# The object of a content at host I, by its beginning.
object_at() { find "$hosts/h$1/home/.cache/dkrun" -path '*/objects/*' -type f -size "$2" 2>/dev/null | head -1; }
host_of() { "$dkrun" logs "$@" | grep -oE '^h[12]$' | tr -d h; }

providers '["h1", "h2"]'
repo
put e.dk <<'END'
experiment e { }
grid g { x in 1..4 }
task big over g {
  outputs { out = "out"  small = "small"  dir = "d/" }
  run = """
    uname -n
    head -c 6000000 /dev/urandom > out; sha256sum out
    : > small
    mkdir -p d/s; seq 1 {{x}}00000 > d/s/f; ln -s s/f d/link; : > d/empty; chmod +x d/empty
  """
}
task one {
  outputs { out = "one" }
  run = "uname -n; head -c 150000000 /dev/urandom > one; sha256sum one"
}
END
commit
run run e.dk
has '5 ran, 0 cached, 0 failed'
[ "$(n_objects)" -eq 0 ] || fail "large outputs came though nobody asked for them"
no_engine || fail "the run in the foreground left an engine"
run du
has ' at h'

# Nothing to do, with all of it elsewhere: nothing is asked of any host.
host_drop 1 on
host_drop 2 on
run run e.dk
has 'nothing to do'
host_drop 1 off
host_drop 2 off

# One, and then all of them at once; a second time they are here.
run get big.out x=1 -o "$room/one.out"
same "$room/one.out" big x=1
run get big -o "$room/all"
for x in 1 2 3 4; do
  dir=$(echo "$room"/all/t"$x"-*)
  same "$dir/out" big x="$x"
  [ ! -s "$dir/small" ] || fail "the empty output is not empty"
  cmp <(seq 1 "${x}00000") "$dir/d/s/f" || fail "a file of the directory is another"
  [ "$(readlink "$dir/d/link")" = s/f ] || fail "the link is gone"
  if [ ! -x "$dir/d/empty" ] || [ -s "$dir/d/empty" ]; then fail "the empty file of the directory is another"; fi
done
host_drop 1 on
host_drop 2 on
run get big -o "$room/all" --force
lacks_err 'reach'
host_drop 1 off
host_drop 2 off
run fsck

# The engine that was started for it ends by itself.
wait_until no_engine

# ssh dies in the middle, more than once: what has come stays, and the rest follows. Two want it at once.
at=$(host_of one)
"$dkrun" get one.out -o "$room/one.a" >"$room/a.out" 2>"$room/a.err" </dev/null &
first=$!
"$dkrun" get one.out -o "$room/one.b" >"$room/b.out" 2>"$room/b.err" </dev/null &
second=$!
for size in 1000k 40000k 90000k; do
  until [ -n "$(find .dkrun/objects/tmp -type f -size "+$size" 2>/dev/null)" ]; do
    is_there "$first" || break
    sleep 0.01
  done
  host_kill_sshd "$at"
  sleep 0.2
  host_start_sshd "$at"
done
wait "$first" || fail "get failed: $(cat "$room/a.err")"
wait "$second" || fail "get failed: $(cat "$room/b.err")"
same "$room/one.a" one
same "$room/one.b" one
[ "$(n_objects)" -eq 5 ] || fail "$(n_objects) large objects, expected 5"
[ -z "$(ls -A .dkrun/objects/tmp)" ] || fail "something is left in tmp/"

# A host that cannot be reached: said at once, waited for until it counts as lost. ^C ends the wait; when it is back, so is the output.
rm -rf "$room/one.a" "$room/one.b"
find .dkrun/objects -type f -size +100000k -delete
host_drop "$at" on
wait_until no_engine
run -e 4 get one.out -o "$room/one.a"
has_err "output \`out\` of t5 one: h$at has the only copy and cannot be reached"
has_err 'help: '
[ ! -e "$room/one.a" ] || fail "something was copied"
wait_until no_engine
providers '["h1", "h2"]' 60s # longer than it takes to end it
rm "$room/a.err"
setsid "$dkrun" get one.out -o "$room/one.a" >"$room/a.out" 2>"$room/a.err" </dev/null &
first=$!
is_told() { grep -qE "h$at (does not answer yet|cannot be reached)" "$room/a.err" 2>/dev/null; }
wait_until is_told
kill -TERM "$first"
code=0
wait "$first" || code=$?
[ "$code" -eq 143 ] || fail "a get that was ended: exit code $code: $(cat "$room/a.err")"
wait_until no_engine
[ -z "$(ls -A .dkrun/objects/tmp)" ] || fail "something is left in tmp/"
host_drop "$at" off
providers '["h1", "h2"]'
run get one.out -o "$room/one.a"
same "$room/one.a" one

# Something else in its place, and then nothing: said, and made again by the next run.
rm "$room/one.a"
find .dkrun/objects -type f -size +100000k -delete
object=$(object_at "$at" +100000k)
chmod u+w "$object"
printf 'something else' | dd of="$object" bs=1 seek=70000000 conv=notrunc status=none
run -e 4 get one.out -o "$room/one.a"
has_err 'no host that is configured has it any more'
has_err 'is not the content that was asked for'
[ ! -e "$room/one.a" ] || fail "something was copied"
[ -z "$(ls -A .dkrun/objects/tmp)" ] || fail "something is left in tmp/"
rm "$object" # the one that is made next may be at the same host
run run e.dk
has '1 ran, 4 cached'
run get one.out -o "$room/one.a"
same "$room/one.a" one
at=$(host_of one)
rm "$room/one.a" "$(object_at "$at" +100000k)"
find .dkrun/objects -type f -size +100000k -delete
run -e 4 get one.out -o "$room/one.a"
has_err 'no host that is configured has it any more'
wait_until no_engine
run run e.dk
has '1 ran, 4 cached'

# A host that no file of providers names any more has nothing: its tasks run again.
at=$(host_of one)
providers "[\"h$((3 - at))\"]"
run -e 4 get one.out -o "$room/one.a"
has_err 'no file of providers names it any more'
wait_until no_engine
run run e.dk
has '1 ran, 4 cached'
run get one.out -o "$room/one.a"
same "$room/one.a" one
wait_until no_engine
providers '["h1", "h2"]'

# The engine that fetches is that of a run in the foreground. That ends without waiting for what was not asked of it, and get goes on.
providers '["h1", "h2"]' 60s
put slow.dk <<'END'
experiment slow { }
task slow { run = "sleep 3" }
END
commit
at=$(host_of one)
rm "$room/one.a"
find .dkrun/objects -type f -size +100000k -delete
wait_until no_engine
host_drop "$at" on
"$dkrun" run slow.dk >"$room/run.out" 2>&1 </dev/null &
running=$!
wait_until test -e .dkrun/engine.sock
"$dkrun" get one.out --run 4 -o "$room/one.a" >"$room/a.out" 2>"$room/a.err" </dev/null &
first=$!
wait "$running" || fail "the run failed: $(cat "$room/run.out")"
is_there "$first" || fail "get ended with the run: $(cat "$room/a.err")"
host_drop "$at" off
wait "$first" || fail "get failed: $(cat "$room/a.err")"
same "$room/one.a" one --run 4

# What a host was thought to have for a task that reads it there, and lost: it is made again, and the host is used all the same.
put chain.dk <<'END'
experiment chain { }
param turn = 1
task make {
  outputs { out = "out" }
  run = "head -c 3000000 /dev/zero > out"
}
task use {
  inputs { made = make.out }
  run = "echo {{turn}}; wc -c < {{inputs.made}}"
}
END
providers '["h1"]'
commit
run run chain.dk
has '2 ran'
rm "$(object_at 1 2930k)"
run run chain.dk -p turn=2
has '2 ran, 0 cached, 0 failed'
# The same with a third: it is at the other host, and goes there by way of here.
providers '["h2"]'
run run chain.dk -p turn=3
has '2 ran, 0 cached, 0 failed'
providers '["h1", "h2"]'

# gc forgets the places of what it deletes.
run du
has ' at h1'
run run chain.dk -p turn=4
run gc --older-than 0s --yes
run gc --older-than 0s --yes
has 'nothing to delete'
run fsck
