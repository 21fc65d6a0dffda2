# The table of tests/bench/run from two files: samples (case who units wall cpu rss anonymous others processors, blanks between)
# and rows (tabs between: case, what, kind, ours, theirs, reach).
#
# Kinds of figures: rate (units/s), ms, txn (units/s, of transactions), us (wall microseconds a unit), cpu (microseconds of CPU a unit), above (those minus the limit's),
# mb (megabytes a second of CPU time), mib (resident MiB). Between two cases, where `theirs` is the smaller one: more (bytes of resident size for
# each unit more), anon (the same of anonymous memory), grow (exponent of the CPU time).
# Reach: `>=N` or `<=N` of the figure, with an x behind it of the ratio.

function median(list, n,    i, j, t) {
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
  return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

# One round's figure. Rounds of two contestants with the same number were neighbours in time.
function figure(kind, case_, who, i,    k) {
  k = case_ SUBSEP who SUBSEP i
  if (kind == "rate" || kind == "txn") return units[k] / wall[k]
  if (kind == "mb") return units[k] / cpu[k]
  if (kind == "ms") return wall[k] * 1e3
  if (kind == "us") return wall[k] / units[k] * 1e6
  if (kind == "cpu") return cpu[k] / units[k] * 1e6
  if (kind == "above") return (cpu[k] / units[k] - cpu[case_, "limit", i] / units[case_, "limit", i]) * 1e6
  if (kind == "mib") return rss[k] / 1024
  if (kind == "rss") return rss[k]
  if (kind == "anonymous") return anon[k]
  if (kind == "seconds") return cpu[k]
}

function whole(kind, case_, who,    i, n, list) {
  n = count[case_, who]
  for (i = 1; i <= n; i++) list[i] = figure(kind, case_, who, i)
  return median(list, n)
}

function ratio(kind, case_, ours, theirs,    i, n, list, t) {
  n = count[case_, ours] < count[case_, theirs] ? count[case_, ours] : count[case_, theirs]
  for (i = 1; i <= n; i++) {
    t = figure(kind, case_, theirs, i)
    list[i] = t != 0 ? figure(kind, case_, ours, i) / t : 0
  }
  return median(list, n)
}

# `small` and `large`: cases of one contestant.
function between(kind, large, small, who,    n, m) {
  n = units[large, who, 1]
  m = units[small, who, 1]
  if (kind == "grow") return log(whole("seconds", large, who) / whole("seconds", small, who)) / log(n / m)
  kind = kind == "more" ? "rss" : "anonymous"
  return (whole(kind, large, who) - whole(kind, small, who)) * 1024 / (n - m)
}

function line(what, kind, value, against, theirs, x, reach, load) {
  printf format, what, name[kind], short(value), against, theirs, x, reach, judge(reach, value, x), load
}

function short(x,    a) {
  a = x < 0 ? -x : x
  return sprintf(a >= 1000 ? "%.0f" : a >= 10 ? "%.1f" : "%.2f", x)
}

function judge(reach, value, x,    bound, relative) {
  if (reach == "-") return "-"
  relative = reach ~ /x$/
  bound = substr(reach, 3) + 0
  if (relative) value = x
  return (substr(reach, 1, 2) == ">=" ? value >= bound : value <= bound) ? "yes" : "no"
}

BEGIN {
  name["rate"] = "tasks/s"; name["ms"] = "ms"; name["us"] = "us/task"; name["cpu"] = "us CPU/task"
  name["above"] = "us CPU/task"; name["mb"] = "MB/CPU s"; name["txn"] = "txn/s"; name["more"] = "B/task"; name["anon"] = "B/task"
  name["mib"] = "MiB"; name["grow"] = "exponent"
  format = "%-50s %-12s %9s  %-10s %9s %7s  %-8s %-8s %6s\n"
  printf format, "what", "unit", "ours", "against", "theirs", "ratio", "reach", "reached", "others"
}

FILENAME ~ /samples$/ {
  split($0, part, " ")
  k = part[1] SUBSEP part[2]
  i = ++count[k]
  units[k, i] = part[3]; wall[k, i] = part[4]; cpu[k, i] = part[5]; rss[k, i] = part[6]; anon[k, i] = part[7]
  others[k] += part[8]; processors[k] += part[9]
  next
}

count[$1, $4] > 0 {
  what = $1 $2 $3 == last ? "" : $2
  last = $1 $2 $3
  load = processors[$1, $4] > 0 ? sprintf("%.0f%%", 100 * others[$1, $4] / processors[$1, $4]) : "-"
  if ($3 == "grow" || $3 == "more" || $3 == "anon") {
    if (count[$5, $4] > 0) line(what, $3, between($3, $1, $5, $4), "-", "-", "-", $6, load)
  } else if ($5 == "-") {
    line(what, $3, whole($3, $1, $4), "-", "-", "-", $6, load)
  } else if (count[$1, $5] > 0) { # it is installed
    x = ratio($3, $1, $4, $5)
    line(what, $3, whole($3, $1, $4), $5, short(whole($3, $1, $5)), short(x), $6, load)
  }
}
