# Planning points with a fan-in: check, expansion, joins and every key, as `dkrun plan` does it; the peers' dry runs.
# shellcheck shell=bash disable=SC2154,SC2164,SC2103 # sourced by run: its variables, and its `set -e`

plan_powers=(4 5 6 7) plan_peers=100000 plan_least=1000

plan_ours() {
  local power=$1 dir=plan$1
  mkdir -p "$dir"
  repository "$dir" <<DK
grid g { a in 1..$((10 ** power / 10000)) b in 1..100 c in 1..100 }
grid h { c in 1..100 }
task t over g {
  outputs { o = "o" }
  run = "x {{a}} {{b}} {{c}}"
}
task u over h {
  inputs { all = gather(t.o) }
  run = "y {{inputs.all}}"
}
DK
  cd ..
}

plan_files() {
  awk -v n="$plan_peers" 'BEGIN {
    printf "all:"
    for (u = 0; u < 100; u++) printf " u%d", u
    print ""
    for (u = 0; u < 100; u++) {
      printf "u%d:", u
      for (i = u; i < n; i += 100) printf " t%d", i
      printf "\n\ty %d\n", u
    }
    for (i = 0; i < n; i++) printf "t%d:\n\tx %d\n", i, i
  }' >plan.mk
  awk -v n="$plan_peers" 'BEGIN {
    print "rule x\n  command = x $out\nrule y\n  command = y $out"
    for (u = 0; u < 100; u++) {
      printf "build u%d: y", u
      for (i = u; i < n; i += 100) printf " t%d", i
      print ""
    }
    for (i = 0; i < n; i++) printf "build t%d: x\n", i
  }' >plan.ninja
  cat >Snakefile <<SNAKE
rule all:
    input: expand("u/{c}", c=range(10))
rule u:
    input: lambda w: expand("t/{i}", i=range(int(w.c), $plan_least, 10))
    output: "u/{c}"
    shell: "y {wildcards.c}"
rule t:
    output: "t/{i}"
    shell: "x {wildcards.i}"
SNAKE
}

plan_run() {
  local who=$1 round=$2 power
  case $who in
  dkrun)
    for power in "${plan_powers[@]}"; do
      # A long one is not repeated: it is compared with nothing but shorter ones.
      [ "$power" -lt 7 ] || [ "$round" -eq 1 ] || continue
      (cd "plan$power" && take "plan$power" dkrun $((10 ** power + 100)) -- "$dkrun" plan)
    done
    ;;
  make) take plan5 make "$plan_peers" -- make -n -f plan.mk ;;
  ninja) take plan5 ninja "$plan_peers" -- ninja -n -v -f plan.ninja ;;
  snakemake) take plan5 snakemake "$plan_least" -- snakemake -n -q all ;;
  esac
}

bench_plan() {
  mkdir plan
  cd plan
  if $quick; then plan_powers=(4 5) plan_peers=1000 plan_least=20; fi
  local power
  for power in "${plan_powers[@]}"; do plan_ours "$power"; done
  plan_files
  in_turn plan_run dkrun make ninja snakemake
  row plan5 "plan 10^5 points with a fan-in" ms dkrun - -
  row plan5 "  a task (make, ninja: of $plan_peers)" us dkrun make -
  row plan5 "  a task (make, ninja: of $plan_peers)" us dkrun ninja -
  row plan5 "  a task (Snakemake: of $plan_least)" us dkrun snakemake -
  row plan6 "plan 10^6 points with a fan-in" ms dkrun - '<=1000'
  row plan6 "  memory a task" more dkrun plan4 '<=200'
  row plan6 "  growth from 10^5 points" grow dkrun plan5 '<=1.05'
  row plan7 "plan 10^7 points with a fan-in" ms dkrun - -
  row plan7 "  growth from 10^5 points" grow dkrun plan5 '<=1.05'
  row plan7 "  memory" mib dkrun - '<=2048'
}
