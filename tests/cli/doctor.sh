#!/bin/bash
# What doctor says of the machine, and that it is so.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

export HOME=$room
shot() { (cd "$room" && find . -not -name out -not -name err | sort); }
state_of() { sed -n "s/^\(ok\|not enforced\|problem\)  *$1 .*/\1/p" <<<"$out"; }
says() { [ "$(state_of "$1")" = "$2" ] || fail "$1 is not: $2"; }

cd "$room"
run -e 4 doctor
says git problem
has 'help: git init'
has 'dkrun cannot run here.'
repo
run -e 4 doctor
says git problem

small
before=$(shot)
run doctor
[ "$(shot)" = "$before" ] || fail "doctor left files: $(shot)"
for check in git store disk program machine gpus engine agent; do says "$check" ok; done
has 'nothing was run here yet'
has 'dkrun can run here.'
[ "$(wc -l <<<"$out")" -le 24 ] || fail "longer than a screen"
run -e 2 doctor --format xml
has_err 'text or json'
run -e 2 doctor small.dk
has_err 'one too many'

# A line a check, the same in both forms.
run doctor
text=$(grep -cE '^(ok|not enforced|problem) ' <<<"$out")
run doctor --format json
[ "$(grep -o '"check":' <<<"$out" | wc -l)" -eq "$text" ] || fail "text has $text checks"
has '"can_run":true'

# What it says of reading is what a task meets.
put probe.dk <<END
task probe { run = "cat $room/repo/small.dk" }
END
commit
run doctor
if [ "$(state_of reading)" = ok ]; then
  run -e 1 run -q probe.dk
  HOME=$room/repo run doctor
  says reading 'not enforced'
  has 'HOME lies in the repository'
  [ ! -e .cache ] || fail "doctor made .cache"
  HOME=$room/repo run run -q probe.dk
else
  says reading 'not enforced'
  run run -q probe.dk
fi
run doctor
has 'it can be read'

# Who works here now.
put slow.dk <<END
task slow { run = "touch $room/started; while [ ! -e $room/end ]; do sleep 0.02; done" }
END
commit
"$dkrun" run -q slow.dk >/dev/null 2>&1 &
engine=$!
wait_until test -e "$room/started"
run doctor
has "works here: process $engine"
[ "$(grep -c 'works here: process' <<<"$out")" -eq 2 ] || fail "engine or agent is missing"
touch "$room/end"
wait "$engine"
run doctor
says engine ok
has 'none works here now'

# Limits.
(ulimit -n 500; run doctor; says 'open files' problem; has 'ulimit -Hn')
(ulimit -c 0; run doctor; has 'core dumps   off')
if (ulimit -c 100) 2>/dev/null; then
  # The sanitizers' run time turns them off by itself.
  (ulimit -c 100; export ASAN_OPTIONS=disable_coredump=0; run doctor; has 'core dumps   on')
fi

# The agent's program: missing, of another version, not one.
mkdir "$room/bin"
cp "$dkrun" "$room/bin/dkrun"
whole=$dkrun dkrun=$room/bin/dkrun
run -e 4 doctor
has 'dkagent is not there'
put "$room/bin/dkagent" <<<$'#!/bin/sh\necho dkagent 99.0.0'
chmod +x "$room/bin/dkagent"
run doctor
says program problem
has 'another version'
put "$room/bin/dkagent" <<<$'#!/bin/sh\nexit 3'
run -e 4 doctor
has 'exit code 3'
dkrun=$whole

# A damaged store, and too little room.
head -c 8192 /dev/urandom | dd of=.dkrun/store/data.mdb conv=notrunc status=none
run -e 4 doctor
says store problem
run -e 4 doctor --format json
has '"can_run":false'
has '"stops":true'
mkdir "$room/full"
if mount -t tmpfs -o size=4m none "$room/full" 2>/dev/null; then
  mounts+=("$room/full")
  cp -r .git "$room/full/.git"
  cd "$room/full"
  run -e 4 doctor
  says disk problem
  has 'on tmpfs'
fi
