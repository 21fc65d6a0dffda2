#!/bin/bash
# On a terminal (script(1) gives one): the live view is drawn, and the terminal is as it was afterwards.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
command -v script >/dev/null || { echo "script(1) is not installed: skipped"; exit 77; }
small
put slow.dk <<'EOF'
grid g { k in 1..3 }
task t over g { run = "sleep 0.4; [ {{k}} != 2 ]" }
EOF

on_terminal() { # COLUMNSxLINES COMMAND
  status=0 last=$2
  TERM=xterm script -qec "stty cols ${1%x*} rows ${1#*x}; $2; code=\$?; stty -a | tr ' ;' '\n\n' >'$room/stty'; exit \$code" /dev/null \
    >"$room/out" 2>"$room/err" </dev/null || status=$?
  out=$(tr -d '\r\000' <"$room/out") err=$(<"$room/err")
}

on_terminal 80x24 "'$dkrun' run slow.dk --foreground"
[ "$status" -eq 1 ] || fail "exit code $status"
has $'\x1b[?25l'
has $'\x1b[?25h'
has 'q or ^C stop'
has 'FAILED t2'
has 'slow  run 1  2 done, 1 failed'
grep -qx -- '-echo\|-icanon' "$room/stty" && fail "the terminal is left without echo"

# The cursor is shown again after it was hidden for the last time.
[[ ${out##*$'\x1b[?25l'} == *$'\x1b[?25h'* ]] || fail "the cursor stays hidden"

# No line of a frame is longer than the terminal is wide.
on_terminal 40x10 "'$dkrun' run small.dk --color never"
[ "$status" -eq 0 ] || fail "exit code $status"

TERM=dumb on_terminal 80x24 "TERM=dumb '$dkrun' run small.dk"
lacks $'\x1b'

# Control characters of a log are escaped on a terminal.
put bytes.dk <<'EOF'
task bytes { run = "printf 'a\\033[31mb\\n'" }
EOF
run run bytes.dk -q
on_terminal 80x24 "'$dkrun' logs t1"
has 'a\x1b[31mb'

# On a terminal the engine is another process: `d` leaves the run running, ^C asks first, and attach shows it to its end.
put long.dk <<'EOF'
grid g { k in 1..2 }
task t over g {
  pass = ["GO"]
  run = "echo {{k}}; while [ ! -e $GO ]; do sleep 0.02; done"
}
EOF
export GO=$room/go
keys() { # COMMAND KEY...: types each key when the view is drawn
  mkfifo "$room/keys"
  TERM=xterm script -qefc "stty cols 80 rows 24; $1" "$room/typescript" <"$room/keys" >/dev/null 2>"$room/err" &
  local pid=$! key
  exec 9>"$room/keys"
  until grep -q '2 running' "$room/typescript" 2>/dev/null; do sleep 0.05; done
  for key in "${@:2}"; do
    sleep 0.3 # two keys of a person, not a paste
    printf '%b' "$key" >&9
  done
  status=0
  wait "$pid" || status=$?
  exec 9>&-
  rm "$room/keys"
  out=$(tr -d '\r' <"$room/typescript") last=$1
}
keys "'$dkrun' run long.dk" d
[ "$status" -eq 0 ] || fail "exit code $status after d"
has 'd leave it running'
has 'goes on; `dkrun attach'
run status
has 'running'
keys "'$dkrun' attach" '\003' x d
[ "$status" -eq 0 ] || fail "exit code $status after ^C, x and d"
has '^C again stops the run'
keys "'$dkrun' attach" '\003' '\003'
[ "$status" -eq 130 ] || fail "exit code $status after two ^C"
has 'interrupted'
