# fanout.sh: 'bench fanout': a thousand loopback hosts, ringhaul and the others against them.
# shellcheck shell=bash

bench_fanout() {
  local title
  parse_options "$@"
  [ -n "$RUNS" ] || RUNS=3
  need_programs
  find_ringhaul
  begin end_inside
  title="$HOSTS hosts, $IN_FLIGHT in flight"
  [ "$BEHIND_JUMP" = 0 ] || title+=", every second behind one jump host"
  say "$title, $RUNS rounds; $RINGHAUL ($("$RINGHAUL" --version))"
  run_inside inside
  [ -e "$WORK/results" ] || return 0
  /usr/bin/python3 "$PARTS/table.py" --reference clush --title "$title" $MARKDOWN "$WORK/results"
}

# Within the namespaces.
bench_inside() {
  local range
  enter "${1:-}"
  STAND_IN=1 LOGIN=ops KEY=$WORK/key KNOWN=$WORK/known_hosts
  make_host
  [ "$BEHIND_JUMP" = 0 ] || make_jump
  {
    printf 'cluster: bench\ndefaults:\n  user: ops\n  identity_file: %s\n  known_hosts: %s\nnodes:\n' "$KEY" "$KNOWN"
    if [ "$BEHIND_JUMP" = 1 ]; then
      nodes_behind_jump
    else
      while read -r range; do printf '  - %s\n' "$range"; done <"$WORK/ranges"
    fi
  } >"$WORK/inventory.yaml"
  # What a login has by default: who keeps a file open for each host is to be seen here.
  ulimit -Sn 1024
  # A command to try things by hand among the thousand hosts; see 'bench help fanout'.
  if [ -n "$EXTRA" ]; then export WORK SSHD; bash -c "$EXTRA"; return; fi
  rounds "$RUNS"
}

measured() { /usr/bin/python3 "$PARTS/measure.py" "$@"; }
