# ship.sh: 'bench ship': the backups of one loopback host, copied by ringhaul and by the others.
# shellcheck shell=bash disable=SC2034,SC2154

# How many small sets there are, and how large they are together: eight files each, as after many little flushes.
SMALL_SETS=2500 SMALL_BYTES=14000000 BIG_SETS=10
# What has nothing to copy is quick, so its least wants more tries.
AGAIN=3
COPIES='' COPY=0 LAB=''
DATA=/var/lib/cassandra/data

bench_ship() {
  PEERS=rsync,sync
  parse_options "$@"
  [ -n "$RUNS" ] || RUNS=3
  HOSTS=1
  need_programs_of_ship
  find_ringhaul
  begin end_ship
  need_room
  say "$RUNS rounds; $RINGHAUL ($("$RINGHAUL" --version)); the machine:$(uptime)"
  run_inside inside-ship
  [ "$WITH_MEDUSA" = 0 ] || bench_medusa
  [ -e "$WORK/results" ] || return 0
  # shellcheck disable=SC2086
  /usr/bin/python3 "$PARTS/ship_table.py" $FORM --size "$SIZE" "$WORK/results"
}

end_ship() {
  end_inside
  [ -z "$LAB" ] || end_lab
}

need_programs_of_ship() {
  need_tools ssh:openssh-client ssh-keygen:openssh-client /usr/sbin/sshd:openssh-server ip:iproute2 unshare:util-linux \
    setpriv:util-linux mount:mount tar:tar find:findutils /usr/bin/python3:python3-minimal dash:dash
  # In shells of their own, as apt_install ends the shell it is in.
  if [[ ,$PEERS, == *,rsync,* ]] && ! command -v rsync >/dev/null && ! (apt_install rsync); then
    warn 'rsync is not here and could not be installed: it does not take part'
    PEERS=${PEERS//rsync/none}
  fi
  command -v b3sum >/dev/null || (apt_install b3sum) || warn 'b3sum is not here and could not be installed: openssl takes its part'
}

# The data, one copy of it, and what ringhaul leaves free at least.
need_room() {
  local need=$((2 * SIZE + SIZE / 10 + 2048)) free
  free=$(df --output=avail -BM "$WORK" | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$need" ] || die "$WORK has $free MiB free, and $need are needed: make room, or use a smaller --size"
}

# Within the namespaces.
bench_inside_ship() {
  enter "${1:-}"
  make_node
  local round tree
  # A command to try things by hand on this host; see 'bench help ship'.
  if [ -n "$EXTRA" ]; then
    lay_out "${TREES%%,*}"
    afresh
    export WORK COPIES SSHD INVENTORY DATA TAR RSYNC FIND SHIP HASH
    bash -c "$EXTRA"
    return
  fi
  for tree in ${TREES//,/ }; do
    [ "$tree" != none ] || continue
    lay_out "$tree"
    for ((round = 1; round <= RUNS; round++)); do
      say "round $round of $RUNS, $tree sets"
      ship_round "$tree" "$round"
    done
    umount "$DATA"
    rm -rf "$WORK/data" "$COPIES"
  done
}

make_node() {
  STAND_IN=1 LOGIN=ops KEY=$WORK/key KNOWN=$WORK/known_hosts INVENTORY=$WORK/inventory.yaml
  make_host
  printf 'cluster: bench\ndefaults:\n  user: ops\n  identity_file: %s\n  known_hosts: %s\nnodes:\n  - 127.0.0.1\n' "$KEY" "$KNOWN" >"$INVENTORY"
  printf '\nDatacenter: dc1\n==========\nAddress    Rack  Status  State   Load        Owns     Token\n' >/usr/share/cassandra/ring
  printf '127.0.0.1  r2    Up      Normal  189.07 KiB  100.00%%  -8185114641187549930\n' >>/usr/share/cassandra/ring
  {
    printf 'Cluster Information:\n\tName: bench\n\tSnitch: org.apache.cassandra.locator.GossipingPropertyFileSnitch\n'
    printf '\tDynamicEndPointSnitch: enabled\n\tPartitioner: org.apache.cassandra.dht.Murmur3Partitioner\n'
    printf '\tSchema versions:\n\t\td24b6584-ca87-38fc-ab1a-6a88acdfb1a3: [127.0.0.1]\n\n'
    printf 'Stats for all nodes:\n\tLive: 1\n\tJoining: 0\n\tMoving: 0\n\tLeaving: 0\n\tUnreachable: 0\n\n'
    printf 'Data Centers: \n\tdc1 #Nodes: 1 #Down: 0\n\nDatabase versions:\n\t5.0.5: [127.0.0.1:7000]\n\n'
    printf 'Keyspaces:\n\tsystem -> Replication class: LocalStrategy {}\n'
  } >/usr/share/cassandra/describecluster
}

# The data are on the disk where the copies go to; nothing else is in the data folder.
lay_out() {
  if [ "$1" = big ]; then
    SETS=$BIG_SETS BYTES=$((SIZE << 20)) TABLES=2
  else
    SETS=$SMALL_SETS BYTES=$SMALL_BYTES TABLES=10
  fi
  # One part in a hundred: a twentieth of a big set, or as many small ones.
  NEW_SETS=$(((SETS + 99) / 100)) NEW_BYTES=$((BYTES / 100))
  mkdir -p "$WORK/data"
  say "making $SETS sets of $((BYTES / SETS)) bytes each"
  data make --sets "$SETS" --bytes "$BYTES" --tables "$TABLES"
  mount --bind "$WORK/data" "$DATA"
}

data() { /usr/bin/python3 "$PARTS/ship_data.py" "$1" "$WORK/data" "${@:2}"; }

# A folder for the next copies, and what each of them does. All over the one cipher that ringhaul takes by itself.
afresh() {
  # Large copies make room, outside of anybody's time. Small ones are left until the end: for minutes ext4 does not
  # give away the inodes of removed files again and looks at each of them for each new file, which costs ten times the copy.
  [ "$SETS" = "$SMALL_SETS" ] || rm -rf "$COPIES"
  COPIES=$WORK/copies.$((++COPY))
  mkdir "$COPIES"
  local to=$COPIES/to
  set_ssh_options curve25519
  local ssh="ssh ${SSH_OPTIONS[*]} -c aes128-gcm@openssh.com -l $LOGIN"
  TAR="set -e; mkdir '$to'; $ssh 127.0.0.1 'tar -C $DATA -cf - .' | tar -C '$to' -xf -"
  SYNC="$TAR; sync -f '$to'"
  RSYNC="rsync -a -e '$ssh' 127.0.0.1:$DATA/ '$to/'"
  FIND="$ssh 127.0.0.1 'find $DATA -type f -printf \"%p %s %T@ %i\\n\"'"
  SHIP="'$RINGHAUL' ship --to '$COPIES/store' --yes --json --quiet -i '$INVENTORY' -F none"
  HASH="find '$WORK/data' -type f -print0 | xargs -0"
  if command -v b3sum >/dev/null; then HASH+=" b3sum --no-mmap --num-threads 1"; else HASH+=" openssl dgst -sha256"; fi
}

# One round: each makes its first copy, and goes over it again with nothing new and with a hundredth more.
ship_round() {
  local tree=$1 read=
  [ "$2" != 1 ] || read=--read
  afresh
  ship_once tar "$tree" first "$TAR" "tree '$WORK/data' '$COPIES/to' $read"
  if has sync; then
    afresh
    ship_once 'tar, then sync' "$tree" first "$SYNC" "tree '$WORK/data' '$COPIES/to'"
  fi
  if has rsync; then
    afresh
    whole_course 'rsync -a' "$tree" "$RSYNC" "tree '$WORK/data' '$COPIES/to'" "$read"
  fi
  afresh
  whole_course 'ringhaul ship' "$tree" "$SHIP" "store '$WORK/data' '$COPIES/store'" "$read"
  ship_once 'one pass of hashing' "$tree" first "$HASH" "listing '$WORK/data' '$WORK/out.ship'"
}

# $1 label, $2 tree, $3 command, $4 judge, $5 how the first copy is judged besides
whole_course() {
  local n
  ship_once "$1" "$2" first "$3" "$4 $5"
  for ((n = 0; n < AGAIN; n++)); do
    ship_once 'bare listing' "$2" again "$FIND" "listing '$WORK/data' '$WORK/out.ship'"
    ship_once "$1" "$2" again "$3" "$4"
  done
  data add --sets "$NEW_SETS" --bytes "$NEW_BYTES"
  ship_once "$1" "$2" new "$3" "$4 $5"
  data drop
}

has() { [[ ,$PEERS, == *,$1,* ]]; }

# $1 label, $2 tree, $3 first, again or new, $4 command, $5 judge
ship_once() {
  # Nobody is to wait for what another left to be written.
  sync -f "$WORK"
  /usr/bin/python3 "$PARTS/measure.py" --label "$1" --column "$2 $3" --judge "/usr/bin/python3 '$PARTS/ship_judge.py' $5" --limit "$LIMIT" \
    --out "$WORK/out.ship" --results "$WORK/results" --server "$SSHD" -- sh -c "$4"
}
