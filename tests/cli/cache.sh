#!/bin/bash
# What reruns and what does not: a run again, an edited README, comment, report or metric, a new value, changed code and data.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
grid g { c in [1, 2, 3] }
task t over g {
  code    = ["tool.sh"]
  inputs  { data = file("data.txt") }
  outputs { o = "o.txt" }
  metrics { m = match(stdout, 'm=([0-9]+)') }
  run = "bash tool.sh {{c}} {{inputs.data}} | tee {{outputs.o}}"
}
task sum {
  inputs  { all = gather(t.o) }
  metrics { total = match(stdout, 'total=([0-9]+)') }
  run = "cat {{inputs.all}} | awk -F= '{ n += $2 } END { print \"total=\" n }'"
}
report { table { from = sum  columns = [total] } }
EOF
put tool.sh <<'EOF'
echo "m=$(( $1 * $(cat "$2") ))"
EOF
put data.txt <<<10
put README <<<first
commit

run run
has 'done: 4 ran, 0 cached'
run results
has 60

run run
has 'nothing to do: 4 cached'
run plan
has 'nothing to do'

# Nothing that a result depends on.
echo more >>README
sed -i '1i # a comment' e.dk
sed -i 's/columns = \[total\]/columns = [task, total]/' e.dk
run run
has 'nothing to do: 4 cached'
run results
has sum

# An edited regex reads the kept output again.
sed -i "s/m=(\[0-9\]+)/(m=[0-9]+)/" e.dk
run run
has 'nothing to do: 4 cached'
run results --format json
lacks error

# One more value: its point, and what gathers it.
sed -i 's/\[1, 2, 3\]/[1, 2, 3, 4]/' e.dk
run plan
has 'c=4 is new (e.dk:2)'
run run
has 'done: 2 ran, 3 cached'
run results
has 100

# One value less: nothing runs but the sum, and that one is known already.
sed -i 's/\[1, 2, 3, 4\]/[1, 2, 3]/' e.dk
run run
has 'nothing to do: 4 cached'

# Changed code; the same output ends the change there.
echo '# no change of what it prints' >>tool.sh
run plan
has '`tool.sh` (tool.sh:2) changed since run'
run run
has 'done: 3 ran, 1 cached'

# Changed data, back again.
echo 20 >data.txt
run plan
has '`data.txt` (data.txt:1) changed since run'
run run
has 'done: 4 ran, 0 cached'
echo 10 >data.txt
run run
has 'nothing to do: 4 cached'

# An output that is gone is made again.
find .dkrun/objects -type f -size -20c -path '*/??/*' -exec rm -f {} +
run plan
has 'output `o` is gone from .dkrun/objects'
run run
has 'done: 3 ran, 1 cached'

# Outputs that are gone are made again, also by a task that never makes the same bytes; then that is the result.
put r.dk <<'EOF'
task random { outputs { o = "o" } run = "date +%N > o" }
task uses { inputs { x = random.o } run = "cat {{inputs.x}}" }
EOF
run run r.dk
has 'done: 2 ran'
find .dkrun/objects -mindepth 2 -type f -exec rm -f {} +
run run r.dk
has 'done: 2 ran'
run run r.dk
has 'nothing to do: 2 cached'

# What is made again under its key is known by what it says now: a result whose output was lost, ...
put again.dk <<'EOF'
task say {
  outputs { o = "o.txt" }
  metrics { v = match(stdout, 'v=([0-9]+)') }
  run = "n=$(cat $HOME/count) && echo $((n + 1)) >$HOME/count && echo v=$n | tee {{outputs.o}}"
}
pick best { from = say  maximize = v }
EOF
export HOME=$room/home
mkdir -p "$HOME"
echo 7 >"$HOME/count"
run run again.dk
has 'v 7'
run get say.o -o first
rm -rf .dkrun/objects/*/*
run run again.dk
has 'v 8'
run results --format csv
[[ $out == *,8,* || $out == *,8 ]] || fail "the metric of what is there no more: $out"
run logs say
has 'v=8'
run get say.o -o second
[ "$(<second)" = v=8 ] || fail "not what was made last: $(<second)"

# ... and one that is never used again.
put never.dk <<'EOF'
task say {
  outputs { o = "o.txt" }
  metrics { v = match(stdout, 'v=([0-9]+)') }
  cache = "none"
  run = "n=$(cat $HOME/count) && echo $((n + 1)) >$HOME/count && echo v=$n | tee {{outputs.o}}"
}
task use {
  inputs { o = say.o }
  metrics { got = match(stdout, 'v=([0-9]+)') }
  run = "cat {{inputs.o}}"
}
EOF
for n in 9 10; do
  run run never.dk
  has 'done: 2 ran'
  has "v $n"
  has "got $n"
  run results --format csv
  [ "$(grep -c ",$n" <<<"$out")" -eq 2 ] || fail "not what it says now: $out"
  run logs say
  has "v=$n"
  run get say.o -o "now-$n"
  [ "$(<"now-$n")" = "v=$n" ] || fail "not what was made last: $(<"now-$n")"
done
