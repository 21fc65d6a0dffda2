#!/bin/bash
# A new boot id: what ran before is taken as gone and runs again, and a process that has the number of one of them now is a stranger.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cat /proc/sys/kernel/random/uuid >"$room/boot"
# Everything after "$@" sees another boot id.
rebooted() { unshare -m sh -c 'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"' sh "$room/boot" "$@"; }
if ! rebooted true 2>/dev/null; then
  echo 'SKIPPED: this needs the right to mount over /proc/sys/kernel/random/boot_id in a namespace of its own'
  exit 77
fi
[ "$(rebooted cat /proc/sys/kernel/random/boot_id)" = "$(<"$room/boot")" ] || fail 'the boot id is not another one'

repo
put e.dk <<'EOF'
grid g { i in 1..6 }
task t over g {
  pass    = ["GO"]
  outputs { o = "o.txt" }
  run = """
    echo "$$ $DK_ATTEMPT" >> "$GO.{{i}}"
    if [ {{i}} -gt 3 ]; then while [ ! -e "$GO" ]; do sleep 0.02; done; fi
    echo {{i}} > {{outputs.o}}
  """
}
EOF
commit
export GO=$room/go

running() { [ "$(cat "$GO".[4-6] 2>/dev/null | wc -l)" -ge 1 ] && [[ $("$dkrun" status 1) == *"3 of 6 ended"* ]]; }

run run -d
wait_until running
# What a reboot takes away, but for the tasks: their processes stand for strangers that have their numbers after it.
kill -KILL "$(engine_pid)"
stop_agents
strangers=$(cut -d' ' -f1 "$GO".[4-6])
[ -n "$strangers" ] || fail 'no task ran'

touch "$GO.rebooted"
first=$(cat "$GO".[4-6] | wc -l)
rebooted "$dkrun" attach 1 --plain >"$room/attached" 2>&1 </dev/null &
attached=$!
again() { [ "$(cat "$GO".[4-6] | wc -l)" -gt "$first" ]; }
wait_until again
for pid in $strangers; do
  is_there "$pid" || fail "process $pid was ended, which is a stranger's after the reboot"
  kill -KILL "$pid"
done
touch "$GO"
wait "$attached" || fail "attach: $(cat "$room/attached")"
grep -q 'again t[4-6] .*lost' "$room/attached" || fail "no word of it: $(cat "$room/attached")"
run status 1
has 'done: 6 ran, 0 cached, 0 failed'
for i in 1 2 3; do [ "$(wc -l <"$GO.$i")" -eq 1 ] || fail "task $i was done and ran again"; done
[ "$(cat "$GO".? | sort | uniq -d | wc -l)" -eq 0 ] || fail 'an attempt was started twice'

# A power loss: what came after the last sync may have its name, its size and its seal, and zeros for content. It is made again.
pid=$(engine_pid)
kill -KILL "$pid" 2>/dev/null || true # it looks when it begins
gone() { ! is_there "$pid"; }
wait_until gone
stop_agents
object=$(grep -lx 1 -r .dkrun/objects --include='*' | head -1)
chmod u+w "$object"
printf '\0\0' >"$object"
chmod a-w "$object"
touch -d @1 "$object"
# shellcheck disable=SC2046 # three words
set -- $(readlink .dkrun/objects/synced)
ln -sfn "$1 1 $3" .dkrun/objects/synced # as if nothing had been synced since 1970
run run --plain                         # in a boot that is not the one of the last sync
has '1 ran, 5 cached'
[ "$(cat "$object")" = 1 ] || fail 'the content is not right'
run fsck
has 'nothing is damaged'
