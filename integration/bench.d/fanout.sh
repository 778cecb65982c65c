# fanout.sh: 'bench fanout': a thousand loopback hosts, ringhaul and the others against them.
# shellcheck shell=bash

bench_fanout() {
  parse_options "$@"
  [ -n "$RUNS" ] || RUNS=3
  need_programs
  find_ringhaul
  begin end_inside
  say "$HOSTS hosts, $IN_FLIGHT in flight, $RUNS rounds; $RINGHAUL ($("$RINGHAUL" --version))"
  run_inside inside
  [ -e "$WORK/results" ] || return 0
  /usr/bin/python3 "$PARTS/table.py" --reference clush --title "$HOSTS hosts, $IN_FLIGHT in flight" $MARKDOWN "$WORK/results"
}

# Within the namespaces.
bench_inside() {
  local range
  enter "${1:-}"
  STAND_IN=1 LOGIN=ops KEY=$WORK/key KNOWN=$WORK/known_hosts
  make_host
  {
    printf 'cluster: bench\ndefaults:\n  user: ops\n  identity_file: %s\n  known_hosts: %s\nnodes:\n' "$KEY" "$KNOWN"
    while read -r range; do printf '  - %s\n' "$range"; done <"$WORK/ranges"
  } >"$WORK/inventory.yaml"
  # What a login has by default: who keeps a file open for each host is to be seen here.
  ulimit -Sn 1024
  # A command to try things by hand among the thousand hosts; see 'bench help fanout'.
  if [ -n "$EXTRA" ]; then export WORK SSHD; bash -c "$EXTRA"; return; fi
  rounds "$RUNS"
}

measured() { /usr/bin/python3 "$PARTS/measure.py" "$@"; }
