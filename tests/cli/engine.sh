#!/bin/bash
# The engine as a process of its own: runs in the background, several at a time, what is asked of them, and its death.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOT'
grid g { k in 1..8 }
task t over g {
  pass    = ["GO"]
  metrics { z = match(stdout, 'z=([0-9]+)') }
  run = """
    echo {{k}} >> "$GO.started"
    while [ ! -e "$GO.{{k}}" ] && [ ! -e "$GO.all" ]; do sleep 0.02; done
    echo z={{k}}
  """
}
report { table { from = t  columns = [k, z] } }
EOT
commit
export GO=$room/go

started() { [ "$(sort -u "$GO.started" 2>/dev/null | wc -l)" -ge "$1" ]; }
says() { "$dkrun" status "$1" 2>/dev/null | grep -qF -- "$2"; } # RUN TEXT

# Handed over: the command returns, the run goes on, with the environment of who asked.
run run -d -j 2
has 'run 1 goes on in the background'
wait_until started 2
run status
has '1  running'
has "an engine is at work (process $(engine_pid))"

# Paused: what runs goes on, nothing new starts, also with a new engine.
run pause
has 'run 1 is paused'
touch "$GO.1" "$GO.2"
wait_until says 1 '2 of 8 ended'
run status
has '1  paused'
before=$(sort -u "$GO.started" | wc -l) # an order may have been on its way when the pause was asked for
kill -KILL "$(engine_pid)"
run status 1
has 'stopped: 2 of 8 ended'
has 'dkrun attach 1 (goes on)'
run -e 2 cancel t k=99
has_err 'k'
run prio 5 t k=8 # starts an engine, which takes the run up
has '1 task has another priority'
run prio -64 --run 1
run prio 0 --run 1
run -e 75 engine # of several that start at once one has the folder, without a word of the others
[ -z "$err" ] || fail "words of an engine too many: $err"
wait_until says 1 'an engine is at work'
started $((before + 1)) && fail "a task was started while the run was paused"

# The same again: it is the same run. Edited, while it goes on: what both want is shared, what is not asked for any more is told.
run run -d -j 2
has_err 'run 1 does the same already'
sed -i 's/1\.\.8/5..10/' e.dk
run run -d -j 2
has 'run 2 goes on'
has_err '2 tasks of run 1 are no longer asked for but go on (--prune ends them)'
has_err '  t k=3'
wait_until started 4
: >"$room/paused"
"$dkrun" attach 1 --plain >"$room/paused" 2>&1 </dev/null & # tells why nothing happens, and when it goes on
attached=$!
wait_until grep -q 'run 1 is paused: nothing new starts until `dkrun resume --run 1`' "$room/paused"
run resume --run 1
wait_until grep -q 'run 1 is resumed' "$room/paused"
kill "$attached"
wait "$attached" || true
run -e 4 cancel
has_err 'which one?'
run -e 2 cancel --run 1 --where 'k > 30'
has_err 'holds at none of the points'
run -e 2 cancel --run 1 --where 'kk == 3'
has_err '--where:1:1'
has_err 'did you mean `k`?'
run cancel --run 1 --where 'k > 2 and k < 4'
has 'run 1: 1 task ends'

# An attached command survives its engine: another is started, and the run ends as if nothing had been.
"$dkrun" attach 2 --plain >"$room/attached" 2>"$room/err" </dev/null &
attached=$!
connected() { find "/proc/$attached/fd" -lname 'socket:*' 2>/dev/null | grep -q .; }
wait_until connected
kill -KILL "$(engine_pid)"
touch "$GO.all"
wait "$attached" || fail "attach ended with $?: $(cat "$room/attached" "$room/err")"
grep -q 'run 2  done' "$room/attached" || fail "attach: $(cat "$room/attached")"
wait_until says 1 '1 cancelled'
run status 1
has '7 done'
lacks 'failed:'
[ "$(sort "$GO.started" | uniq -d | wc -l)" -eq 0 ] || fail "a task was started twice: $(sort "$GO.started" | uniq -d)"
run results 2
count 7 ''

# With nothing to do and nobody who looks on it ends by itself, and leaves no socket.
pid=$(engine_pid)
gone() { [ ! -e "/proc/$pid" ]; }
wait_until gone
[ ! -e .dkrun/engine.sock ] || fail 'the socket is left'
run attach --plain # its end is shown all the same
has 'run 2  done'
run -e 4 cancel
has_err 'no run goes on here'

# --prune ends what is not asked for any more.
rm -f "$GO".*
sed -i 's/5\.\.10/21..24/' e.dk
run run -d
wait_until started 2
sed -i 's/21\.\.24/22..24/' e.dk
run run -d --prune
has_err '1 task of run 3 is no longer asked for, and ended'
wait_until says 3 '1 cancelled'
touch "$GO.all"
wait_until says 4 'nothing to do: 3 cached'
pid=$(engine_pid)
wait_until gone

# A run of a process ends with it; what others handed to its engine goes on with another.
rm -f "$GO".*
sed -i 's/22\.\.24/31..32/' e.dk
"$dkrun" run --foreground --plain >"$room/own" 2>&1 </dev/null &
own=$!
wait_until started 2
cp e.dk other.dk
sed -i 's/31\.\.32/41..42/' other.dk
"$dkrun" run other.dk --plain >"$room/other" 2>&1 </dev/null &
other=$!
wait_until says 6 'an engine is at work'
kill -TERM "$own"
code=0
wait "$own" || code=$?
[ "$code" -eq 130 ] || fail "exit code $code of the process that was told to end: $(cat "$room/own")"
touch "$GO.all"
wait "$other" || fail "the other run: $(cat "$room/other")"
run status
has '5  interrupted'
has '6  done'
rm other.dk

# A run goes on with the file that it was started with, whatever became of it; what git does not know cannot be had again.
rm -f "$GO".*
sed -i 's/31\.\.32/51..52/' e.dk
run run -d
wait_until started 2
kill -KILL "$(engine_pid)"
sed -i 's/51\.\.52/51..53/' e.dk
"$dkrun" attach 7 --plain >"$room/attached" 2>&1 </dev/null &
attached=$!
touch "$GO.all"
wait "$attached" || fail "attach: $(cat "$room/attached")"
grep -q '2 of 2 done' "$room/attached" || fail "attach: $(cat "$room/attached")"

rm -f "$GO".*
echo ignored.json >.gitignore
echo '[61, 62]' >ignored.json
sed -i 's/k in 51\.\.53/k in load("ignored.json")/' e.dk
run run -d
wait_until started 2
kill -KILL "$(engine_pid)"
echo '[61, 62, 63]' >ignored.json
run -e 130 attach 8
has 'run 8  interrupted'
run status
has '8  interrupted'
grep -q 'run 8 cannot go on: a file that e.dk reads' .dkrun/engine.log || fail "no word of it: $(cat .dkrun/engine.log)"
touch "$GO.all"
run run
has '0 failed'

# More at a time than there are processors reaches an engine and an agent that are started for it; of an agent that is there already it
# is said what holds. One that was started by a run of fewer does not keep the next one to that.
processors=$(nproc)
n=$((processors + 3))
many() { # FOLDER
  rm -f "$GO".*
  mkdir "$room/$1"
  cd "$room/$1"
  git -c init.defaultBranch=main init -q
  sed "s/k in .*}/k in 1..$n }/" "$room/repo/e.dk" >a.dk
  sed "s/k in .*}/k in 101..$((100 + n)) }/" "$room/repo/e.dk" >b.dk
  commit
}
many enough
run run a.dk -d -j "$n"
lacks_err 'at a time'
wait_until started "$n"
touch "$GO.all"
run attach -q
many few
run run a.dk -d -j 1
wait_until started 1
run run b.dk -d -j "$n"
has_err "at most $processors task"
has_err "at a time, not $n"
run run b.dk -d -j "$processors"
lacks_err 'at most'
run cancel --run 1 --now
wait_until started "$processors"
touch "$GO.all"
"$dkrun" attach 2 --plain >"$room/attached" 2>&1 </dev/null || fail "attach: $(cat "$room/attached")"

# An engine that is killed while it starts: what is known of it is said.
cat >"$room/kill_engine.pl" <<'EOT'
my $pid = fork() // die;
exec @ARGV or die unless $pid;
WAIT: while (waitpid($pid, 1) == 0) {
  open my $f, "<", "/proc/$pid/task/$pid/children" or next;
  for my $child (split " ", <$f> // "") { # others look at the store
    open my $c, "<", "/proc/$child/cmdline" or next;
    kill(9, $child), last WAIT if (<$c> // "") =~ /^[^\0]*\0engine\0/;
  }
}
waitpid $pid, 0;
exit $? >> 8 if $? >= 0;
EOT
killed=no
pid=$(engine_pid)
wait_until gone
for ((i = 0; i < 50; i++)); do
  echo "# $i" >>a.dk # or there would be nothing to do, and no engine
  if ! perl "$room/kill_engine.pl" "$dkrun" run a.dk -d -q >"$room/out" 2>"$room/err" </dev/null; then
    killed=yes
    break
  fi
  pid=$(engine_pid) # it was too late, and another engine was started
  kill -KILL "$pid" 2>/dev/null || true
  wait_until gone
done
err=$(<"$room/err")
[ "$killed" = yes ] || fail "no engine was killed while it started"
has_err 'was killed by signal 9 (KILL) before it listened; its log is empty: '
has_err '.dkrun/engine.log'
