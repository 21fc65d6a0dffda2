# Scanner and parser on megabytes of the files we ship, against the scanner alone.
# shellcheck shell=bash disable=SC2154,SC2164,SC2103 # sourced by run: its variables, and its `set -e`

parse_mb=8

parse_run() {
  local who=$1 program=bench_parse
  if [ "$who" = scanner ]; then program=bench_scan; fi
  told parse "$who" "$parse_mb" "$programs/$program" "$parse_mb" "$root"/stdlib/*.dk "$root"/examples/*/*.dk
}

bench_parse() {
  if $quick; then parse_mb=1; fi
  in_turn parse_run dkrun scanner
  row parse "text to syntax tree" mb dkrun scanner '>=50'
}
