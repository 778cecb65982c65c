# fanout.sh: 'bench fanout': a thousand loopback hosts, ringhaul and the others against them.
# shellcheck shell=bash

bench_fanout() {
  parse_options "$@"
  [ -n "$RUNS" ] || RUNS=3
  need_programs
  find_ringhaul
  begin end_inside
  say "$HOSTS hosts, $IN_FLIGHT in flight, $RUNS rounds; $RINGHAUL ($("$RINGHAUL" --version))"
  local code=0
  declare -p WORK HOSTS IN_FLIGHT RUNS PEERS KEX LIMIT SEQUENTIAL RINGHAUL YAML_LINES >"$WORK/options"
  # --kill-child: whoever ends the first process in there ends all of them, and with them mounts and network.
  in_background unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc --propagation private -- \
    /usr/bin/env -i PATH="$PATH" HOME="$WORK/home" LANG=C.UTF-8 RUST_BACKTRACE=0 EXTRA="${BENCH_EXTRA:-}" \
    "$SELF" inside "$WORK" || code=$?
  [ -z "$KEEP" ] || [ ! -e "$WORK/results" ] || cp "$WORK/results" "$KEEP"
  [ "$code" = 0 ] || die "the run broke off (exit $code)"
  [ -e "$WORK/results" ] || return 0
  /usr/bin/python3 "$PARTS/table.py" --reference clush --title "$HOSTS hosts, $IN_FLIGHT in flight" $MARKDOWN "$WORK/results"
}

end_inside() { end_recorded "$WORK/inside"; }

# Within the namespaces.
bench_inside() {
  local range
  [ "$$" = 1 ] && [ -e "${1:-}/options" ] || usage "'inside' is not for people: see '$BENCH help'"
  # declare -g: plain 'declare' would make them local to this function.
  eval "$(sed 's/^declare --/declare -g --/' "$1/options")"
  make_private
  mkdir "$WORK/home"
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
