#!/bin/bash
# dkrun why: which part of a key changed, since which run, and where; for a task that would run, ran, failed, waits, or is cached.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'EOF'
param n = 3
let scale = 2
grid g { c in [1, 2, 3] }
task prepare {
  inputs  { raw = file("raw.txt") }
  outputs { data = "d.txt" }
  run = "sort {{inputs.raw}} | head -{{n}} > {{outputs.data}}"
}
task t over g {
  code    = ["tool.sh", "lib/"]
  inputs  { data = prepare.data }
  outputs { o = "o.txt" }
  metrics { m = match(stdout, 'm=([0-9]+)') }
  env     { SCALE = scale }
  run = """
    bash tool.sh {{c}} {{scale}} {{inputs.data}} |
      tee {{outputs.o}}
  """
}
pick best { from = t  maximize = m }
task sum {
  inputs  { all = gather(t.o) }
  run = "cat {{inputs.all}}; echo {{best.c}}"
}
EOF
put tool.sh <<'EOF'
# a tool
echo "m=$(($1 * $2 * $(wc -l <"$3")))"
EOF
put lib/a.sh <<<a
printf '3\n1\n2\n' >raw.txt
commit

# Before anything ran.
run why prepare
is 't1 prepare
  would run: it never ran'
run why t c=1
is 't2 t c=1
  not known before there is a result of `prepare`'
run why best
is 't5 best
  a pick: each run chooses anew, from the metric m of `t`'

run run
run why t c=1
is 't2 t c=1
  cached since run 1: nothing that its result depends on has changed
  ran in run 1: it never had before'

# Code: the very files, and the line.
sed -i 's/# a tool/# the tool/' tool.sh
put lib/b.sh <<<b
rm lib/a.sh
run why t2
is 't2 t c=1
  would run, because since run 1:
    `lib/a.sh` is gone
    `lib/b.sh` is new
    `tool.sh` changed (tool.sh:1)'
run why sum
is 't6 sum
  not known before there is a result of `t c=1`, `t c=2`, `t c=3` and 1 more'
run plan
has '`lib/a.sh`, `lib/b.sh`, `tool.sh` (tool.sh:1) changed since run 1'
run run
run why t c=1
is 't2 t c=1
  cached since run 2: nothing that its result depends on has changed
  ran in run 2, because since run 1:
    `lib/a.sh` is gone
    `lib/b.sh` is new
    `tool.sh` changed (tool.sh:1)'
run why sum
is 't6 sum
  cached since run 1: nothing that its result depends on has changed
  ran in run 1: it never had before'
run why sum --run 2
is 't6 sum
  cached in run 2 since run 1: nothing that its result depends on had changed'

# A value, where it is written; and what it reaches.
sed -i 's/scale = 2/scale = 4/' e.dk
run why t c=1
is 't2 t c=1
  would run, because since run 2:
    `scale` was 2, is 4 (e.dk:2)
    `env SCALE` was 2, is 4 (e.dk:14)'
run run
run why sum
is 't6 sum
  cached since run 3: nothing that its result depends on has changed
  ran in run 3, because since run 2:
    output `o` of `t c=1` differs
    output `o` of `t c=2` differs
    output `o` of `t c=3` differs'
run why --run 2 t
count 3 'ran in run 2, because since run 1:'
run why prepare -p n=2
is 't1 prepare
  would run, because since run 3:
    `n` was 3, is 2 (e.dk:1)'

# The text of a program; a point that is new.
sed -i 's/tee {{outputs.o}}/tee -a {{outputs.o}}/; s/\[1, 2, 3\]/[1, 2, 5]/' e.dk
run why t
is 't2 t c=1
  would run, because since run 3:
    `run` was `tee {{outputs.o}}`, is `tee -a {{outputs.o}}` (e.dk:17)
t3 t c=2
  would run, because since run 3:
    `run` was `tee {{outputs.o}}`, is `tee -a {{outputs.o}}` (e.dk:17)
t4 t c=5
  would run: c=5 is new (e.dk:3)'
# A script that ends in an error, and its end.
sed -i 's/tee -a {{outputs.o}}/tee {{outputs.o}}; exit 7/' e.dk
run -e 1 run
run why t c=1
is 't2 t c=1
  would run: it failed in run 4 (exit code 7)
  and since its result of run 3:
    `run` was `tee {{outputs.o}}`, is `tee {{outputs.o}}; exit 7` (e.dk:17)'
run why t c=1 --run 4
is 't2 t c=1
  failed in run 4 (exit code 7), because since run 3:
    `run` was `tee {{outputs.o}}`, is `tee {{outputs.o}}; exit 7` (e.dk:17)'
run why sum --run 4
is 't6 sum
  not run in run 4'
sed -i 's/; exit 7//' e.dk
run run
run why sum
is 't6 sum
  cached since run 5: nothing that its result depends on has changed
  ran in run 5, because since run 3:
    `best.c` may have another value (e.dk:23)
    output `o` of `t c=5` is new
    1 of the outputs that input `all` gathered no longer count'

# An input, and what was made of it.
printf '3\n1\n2\n9\n' >raw.txt
run why prepare
is 't1 prepare
  would run, because since run 5:
    `raw.txt` changed (raw.txt:4)'
run run
has 'done: 1 ran, 4 cached'
printf '4\n1\n2\n9\n' >raw.txt
run run
run why t c=1
is 't2 t c=1
  cached since run 7: nothing that its result depends on has changed
  ran in run 7, because since run 6:
    output `data` of `prepare` differs'
sed -i 's/sort/sort -r/' e.dk
run run
run why t c=2
is 't3 t c=2
  cached since run 8: nothing that its result depends on has changed
  ran in run 8, because since run 7:
    output `data` of `prepare` differs'
# Only a producer that is known differs; what waits says what differs in any case.
sed -i 's/sort -r/sort/; s/tee {{/tee -i {{/' e.dk
printf '0\n4\n1\n2\n9\n' >raw.txt
run why t c=1
is 't2 t c=1
  not known before there is a result of `prepare`
  but would run, because since run 8:
    `run` was `tee {{outputs.o}}`, is `tee -i {{outputs.o}}` (e.dk:17)'
run run

# An output that is gone; one that is never used again; another machine.
run why prepare
has 'cached since run'
printf '0\n1\n2\n' >expected
rm "$(find .dkrun/objects -mindepth 2 -type f -exec cmp -s {} expected \; -print)"
rm expected
run why prepare
is 't1 prepare
  would run: its result of run 9 cannot be used: output `data` is gone from .dkrun/objects'
run plan
has 'the result of run 9: output `data` is gone from .dkrun/objects'
run run
sed -i 's/task sum {/task sum { cache = "none"/' e.dk
run why sum
is 't6 sum
  would run: its results are never used again (cache = "none"); it ran last in run 5'
sed -i 's/task sum { cache = "none"/task sum {/' e.dk
run why sum
has 'cached since run'

# Where something is new without having been anywhere: an input of another name, an output of another path.
sed -i 's/raw = file/rows = file/; s/inputs.raw/inputs.rows/; s/"d.txt"/"data.txt"/' e.dk
run why prepare
is 't1 prepare
  would run, because since run 10:
    `input rows` is new (e.dk:5)
    `output data` was "d.txt", is "data.txt" (e.dk:6)
    `input raw` is gone'

# What is asked wrongly.
run -e 2 why
has_err 'which task?'
run -e 2 why e.dk
has_err 'which task of e.dk?'
run -e 2 why nosuch
has_err 'nosuch'
run -e 2 why t --run x
has_err 'the number of a run'
run -e 4 why t --run 99
has_err 'no run 99'

# The environment: another release of the distribution, seen through a mount of one's own.
printf 'ID=debian\nVERSION_ID="99"\n' >"$room/release"
if unshare -rm mount --bind "$room/release" /etc/os-release 2>/dev/null; then
  git checkout -q e.dk
  run run
  # shellcheck disable=SC2016 # the inner shell's
  out=$(unshare -rm sh -c 'mount --bind "$1" /etc/os-release && exec "$2" why prepare' sh "$room/release" "$dkrun")
  has 't1 prepare
  would run, because since run 11:
    the environment changed: it was '
  has ', debian 99, glibc '
fi

# The same content under another name: the task sees the name.
put name.dk <<'EOF'
task a { inputs { d = file("in.txt") }  outputs { o = "o" }  run = "cp {{inputs.d}} {{outputs.o}}" }
EOF
echo same >in.txt
run run name.dk -q
cp in.txt other.txt
sed -i 's/in.txt/other.txt/' name.dk
run why name.dk a
has 'a path that it is given changed: the file of an input, or an output, has another name (name.dk:1)'
