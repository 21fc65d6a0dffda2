# Many tasks that are done: a run with nothing to do, and a run after one change.
# shellcheck shell=bash disable=SC2154,SC2164,SC2103 # sourced by run: its variables, and its `set -e`

nothing_few=100 # what `does not grow` is compared with, and Snakemake's number

# Of ours there is no other way to done than to run them; the first run also tells the memory of tasks that wait.
nothing_ours() {
  local n=$1 dir=$2
  shift 2
  repository "$dir" <<DK
grid g { n in concat(1..$((n - 1)), [0]) }
task t over g {
  run = ["sh", "-e", "-c", ": {{n}}"]
}
DK
  take "$@" -m -- "$dkrun" run -q -j "$slots"
  cd ..
}

# make and ninja see outputs that are newer than the source. ninja also wants its log: one task is run by it, and all have that
# task's command, so the other lines are the same but for the name and the time of the file.
nothing_peers() {
  local i
  mkdir -p peers/o
  cd peers
  touch -d '1 hour ago' src
  {
    printf 'all:'
    printf ' o/%s' $(seq "$tasks")
    echo
    for ((i = 1; i <= tasks; i++)); do printf 'o/%s: src\n\t@touch o/%s\n' "$i" "$i"; done
  } >Makefile
  {
    printf 'rule r\n  command = touch o/1\n'
    for ((i = 1; i <= tasks; i++)); do printf 'build o/%s: r src\n' "$i"; done
  } >build.ninja
  seq -f 'o/%.0f' "$tasks" | xargs touch
  if has ninja; then
    rm o/1
    ninja o/1 >/dev/null
    local log
    log=$(grep -P '\to/1\t' .ninja_log)
    find o -type f -printf '%f %T@\n' | awk -v log_line="$log" '
      BEGIN { n = split(log_line, part, "\t") }
      { split($2, t, "."); printf "%s\t%s\t%s%s\to/%s\t%s\n", part[1], part[2], t[1], substr(t[2] "000000000", 1, 9), $1, part[n] }
    ' >>.ninja_log
  fi
  cd ..
  mkdir -p snakemake
  cat >snakemake/Snakefile <<SNAKE
rule all:
    input: expand("o/{i}", i=range($nothing_few))
rule t:
    output: touch("o/{i}")
    shell: ": {wildcards.i}"
SNAKE
  if has snakemake; then (cd snakemake && mkdir o && seq -f 'o/%.0f' 0 $((nothing_few - 1)) | xargs touch); fi
}

nothing_run() {
  local who=$1 round=$2
  case $who in
  dkrun) (cd ours && take nothing dkrun "$tasks" -- "$dkrun" run -q -j "$slots") ;;
  few) (cd few && take nothing few "$nothing_few" -- "$dkrun" run -q -j "$slots") ;;
  make) (cd peers && take nothing make "$tasks" -- make -s -j "$slots") ;;
  ninja) (cd peers && take nothing ninja "$tasks" -- ninja -j "$slots") ;;
  snakemake) (cd snakemake && take nothing snakemake "$nothing_few" -- snakemake -j "$slots" --quiet all) ;;
  esac
}

# Ours: another value in the grid. Theirs: an output that is not there.
nothing_change() {
  local who=$1 round=$2
  case $who in
  dkrun | few)
    local dir=ours units=$tasks
    if [ "$who" = few ]; then dir=few units=$nothing_few; fi
    sed -i "s/\[-*[0-9]*\]/[-$round]/" "$dir/bench.dk"
    (cd "$dir" && take change "$who" "$units" -- "$dkrun" run -q -j "$slots")
    ;;
  make | ninja)
    rm peers/o/1
    (cd peers && take change "$who" "$tasks" -- "$who" -j "$slots")
    ;;
  snakemake)
    rm snakemake/o/1
    (cd snakemake && take change snakemake "$nothing_few" -- snakemake -j "$slots" --quiet all)
    ;;
  esac
}

bench_nothing() {
  mkdir nothing
  cd nothing
  say "  $tasks tasks are run first"
  nothing_ours "$tasks" "$PWD/ours" queued dkrun "$tasks"
  nothing_ours "$nothing_few" "$PWD/few" queued0 dkrun "$nothing_few"
  nothing_peers
  in_turn nothing_run few dkrun make ninja snakemake
  in_turn nothing_change few dkrun make ninja snakemake
  row queued "memory of a task that waits" anon dkrun queued0 '<=1024'
  row nothing "nothing to do, $tasks tasks" ms dkrun few '<=2x'
  row nothing "nothing to do, $tasks tasks" ms dkrun make -
  row nothing "nothing to do, $tasks tasks" ms dkrun ninja '<=0.1x'
  row nothing "nothing to do, a task (Snakemake: of $nothing_few)" us dkrun snakemake -
  row change "one change among $tasks tasks" ms dkrun few -
  row change "one change among $tasks tasks" ms dkrun make -
  row change "one change among $tasks tasks" ms dkrun ninja -
  row change "one change, a task (Snakemake: of $nothing_few)" us dkrun snakemake -
  row change "one change, CPU a task" cpu dkrun make '<=1'
}
