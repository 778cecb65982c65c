# ring.sh: 'bench ring': three real Cassandra nodes, ringhaul's whole audit against one nodetool by clush.
# shellcheck shell=bash

bench_ring() {
  parse_options "$@"
  [ -n "$RUNS" ] || RUNS=5
  need_programs
  find_ringhaul
  LAB=bench-$$ HOSTS=3 IN_FLIGHT=32 KEX=default SEQUENTIAL=1
  begin end_lab
  "$RING" up --lab "$LAB" --nodes 3 --version "$VERSION_OF_RING" --sudo root
  local up=$SECONDS folder=$LABS/$LAB wait
  "$RING" seed --lab "$LAB"
  printf '10.77.0.[11-13]\n' >"$WORK/ranges"
  printf '10.77.0.%s\n' 11 12 13 >"$WORK/addresses"
  STAND_IN=0 LOGIN=root KEY=$folder/id_ed25519 KNOWN=$WORK/known_hosts
  cp "$folder/known_hosts" "$WORK/known_hosts"
  cp "$folder/inventory.yaml" "$WORK/inventory.yaml"
  # A Cassandra younger than 180 s is asked one nodetool more, whether it is still starting; that is not the ordinary case.
  wait=$((SETTLE - (SECONDS - up)))
  if [ "$wait" -gt 0 ]; then
    say "waiting $wait s, until the nodes are older than three minutes: younger ones are asked one nodetool more"
    sleep "$wait" &
    wait $!
  fi
  # Measured within the lab's network; entering it is not counted.
  measured() { "$RING" run --lab "$LAB" -- /usr/bin/python3 "$PARTS/measure.py" "$@"; }
  rounds "$RUNS"
  [ -z "$KEEP" ] || cp "$WORK/results" "$KEEP"
  /usr/bin/python3 "$PARTS/table.py" --reference clush --title "3 real nodes, Cassandra $VERSION_OF_RING" $MARKDOWN "$WORK/results"
}

end_lab() { "$RING" down --lab "$LAB"; }
