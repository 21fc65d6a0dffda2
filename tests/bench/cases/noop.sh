# No-op tasks: programs that do nothing and leave nothing, so that all that is measured is what running a task costs.
# shellcheck shell=bash disable=SC2154,SC2164,SC2103 # sourced by run: its variables, and its `set -e`

noop_n=0 noop_few=0 noop_least=0 # ours, make, ninja; GNU parallel; Snakemake: rates are compared, so the slow ones get fewer

# What this machine does in about two seconds just now.
noop_size() {
  local seconds
  if $quick; then
    noop_n=60 noop_few=20 noop_least=3
    return
  fi
  mkdir warm
  "$programs/bench_measure" "$programs/bench_spawn" 500 "$slots" warm 3>result
  read -r seconds _ <result
  noop_n=$(awk -v s="$seconds" 'BEGIN { n = int(500 / s * 2 / 100) * 100; print (n < 500 ? 500 : n > 20000 ? 20000 : n) }')
  noop_few=$((noop_n / 5)) noop_least=100
}

noop_files() {
  local i
  {
    printf '.PHONY: all'
    printf ' t%s' $(seq "$noop_n")
    printf '\nall:'
    printf ' t%s' $(seq "$noop_n")
    echo
    for ((i = 1; i <= noop_n; i++)); do printf 't%s:\n\t@: %s\n' "$i" "$i"; done
  } >noop.mk
  {
    printf 'rule r\n  command = : %s\n' "\$n"
    for ((i = 1; i <= noop_n; i++)); do printf 'build t%s: r\n  n = %s\n' "$i" "$i"; done
  } >noop.ninja
  cat >Snakefile <<SNAKE
rule all:
    input: expand("o/{i}", i=range($noop_least))
rule t:
    output: touch("o/{i}")
    shell: ": {wildcards.i}"
SNAKE
}

noop_run() {
  local who=$1 dir=$room/noop/$1.$2
  mkdir -p "$dir"
  cd "$dir"
  case $who in
  limit) take noop limit "$noop_n" -- "$programs/bench_spawn" "$noop_n" "$slots" "$dir" ;;
  dkrun)
    repository "$dir" <<DK
grid g { n in 1..$noop_n }
task t over g {
  run = ["sh", "-e", "-c", ": {{n}}"]
}
DK
    take noop dkrun "$noop_n" -- "$dkrun" run -q -j "$slots"
    ;;
  make) take noop make "$noop_n" -- make -s -j "$slots" -f ../noop.mk ;;
  ninja) take noop ninja "$noop_n" -- ninja -j "$slots" -f ../noop.ninja ;;
  parallel)
    take noop parallel "$noop_few" -- sh -c "seq $noop_few | parallel --will-cite -j $slots :"
    ;;
  snakemake)
    cp ../Snakefile .
    take noop snakemake "$noop_least" -- snakemake -j "$slots" --quiet all
    ;;
  esac
}

bench_noop() {
  mkdir noop
  cd noop
  noop_size
  noop_files
  in_turn noop_run limit dkrun make ninja parallel snakemake
  row noop "no-op tasks, $noop_n, each durable" rate dkrun limit '>=0.9x'
  row noop "no-op tasks, $noop_n, each durable" rate dkrun make '>=1x'
  row noop "no-op tasks, $noop_n, each durable" rate dkrun ninja '>=1x'
  row noop "no-op tasks, $noop_n, each durable" rate dkrun parallel '>=5x'
  row noop "no-op tasks, $noop_n, each durable" rate dkrun snakemake '>=30x'
  row noop "  CPU time a task, all processes" cpu dkrun limit -
  row noop "  CPU time a task above the limit's" above dkrun make '<=70'
  row noop "  CPU time a task above the limit's" above dkrun ninja -
  row noop "  CPU time a task above the limit's" above dkrun parallel -
  row noop "  CPU time a task above the limit's" above dkrun snakemake -
}
