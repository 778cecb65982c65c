# medusa.sh: 'bench ship --medusa': cassandra-medusa with a local store, which needs a real Cassandra. One node of integration/ring.
# shellcheck shell=bash disable=SC2034,SC2154

MEDUSA_VERSION=0.31.0
# 400 sets of 8 files: flushing is what takes the time here, so a flush is of many tables.
MEDUSA_TABLES=40 MEDUSA_FLUSHES=10

# Its runs are added to the results. What fails here is told, and the rest of the benchmark stands.
bench_medusa() {
  LAB=bench-$$
  declare -p WORK RUNS LIMIT RINGHAUL VERSION_OF_RING LAB >"$WORK/options"
  # Another process, so that it ends at the first thing that fails.
  in_background "$SELF" inside-medusa "$WORK" || warn 'medusa could not be measured (see above): it does not take part'
  [ -z "$KEEP" ] || cp "$WORK/results" "$KEEP"
}

bench_inside_medusa() {
  [ -e "${1:-}/options" ] || usage "'$COMMAND' is not for people: see '$BENCH help'"
  eval "$(sed 's/^declare --/declare -g --/' "$1/options")"
  measure_medusa
}

measure_medusa() {
  install_medusa
  "$RING" up --lab "$LAB" --nodes 1 --version "$VERSION_OF_RING" --sudo root --incremental --oa >&2
  write_sets
  set_up_medusa
  local round folder=$LABS/$LAB
  KEY=$folder/id_ed25519 KNOWN=$folder/known_hosts
  set_ssh_options curve25519
  local ssh="ssh ${SSH_OPTIONS[*]} -c aes128-gcm@openssh.com -l root 10.77.0.11"
  for ((round = 1; round <= RUNS; round++)); do
    say "round $round of $RUNS, a real Cassandra"
    local to=$WORK/real.$round
    mkdir "$to"
    real_once tar first "$RING" run --lab "$LAB" -- sh -c "set -e; $ssh 'cd $DATA && tar -cf - */*/backups' | tar -C '$to' -xf -"
    real_course 'ringhaul ship' "$RING" run --lab "$LAB" -- \
      "$RINGHAUL" ship --to "$to/store" --yes --json --quiet -i "$folder/inventory.yaml" -F none --state-dir "$WORK/state"
    real_course 'medusa, on the node' "$RING" exec --lab "$LAB" 1 -- sh -c "exec '$MEDUSA/bin/medusa' backup-node --backup-name \"r$round-\$(date +%s%N)\""
    # A store of its own for each round.
    "$RING" exec --lab "$LAB" 1 -- sh -c 'rm -rf /var/lib/medusa/*'
  done
}

# With the system's Python, which the node has too.
install_medusa() {
  MEDUSA=$CACHE/medusa-$MEDUSA_VERSION
  ! "$MEDUSA/bin/medusa" --help >/dev/null 2>&1 || return 0
  say "installing cassandra-medusa $MEDUSA_VERSION in $MEDUSA"
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
  # One that broke off may be half there.
  rm -rf "$MEDUSA"
  /usr/bin/python3 -m venv "$MEDUSA"
  "$MEDUSA/bin/pip" install -q "cassandra-medusa==$MEDUSA_VERSION" >&2
}

# Tables without compaction, so that what is live and what is in backups are the same sets.
write_sets() {
  local table flush
  say "a real Cassandra makes $((MEDUSA_TABLES * MEDUSA_FLUSHES)) sets"
  {
    printf "CREATE KEYSPACE bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};\n"
    for ((table = 1; table <= MEDUSA_TABLES; table++)); do
      printf "CREATE TABLE bench.t%s (id int PRIMARY KEY, what text) WITH compaction = {'class': 'SizeTieredCompactionStrategy', 'enabled': 'false'};\n" "$table"
    done
  } | cql
  for ((flush = 1; flush <= MEDUSA_FLUSHES; flush++)); do
    for ((table = 1; table <= MEDUSA_TABLES; table++)); do
      printf "INSERT INTO bench.t%s (id, what) VALUES (%s, 'some text');\n" "$table" "$flush"
    done | cql
    "$RING" nodetool --lab "$LAB" 1 flush bench
  done
}

# cqlsh of 5.0.0 says of each 5.0.5 that it is another.
cql() { "$RING" cql --lab "$LAB" 1 2> >(grep -v '^WARNING: cqlsh was built' >&2) >&2; }

set_up_medusa() {
  # The node does not see this machine's homes. Its programs name the folder, so it is the same there.
  "$RING" exec --lab "$LAB" 1 -- mkdir -p "$MEDUSA"
  tar -C "$MEDUSA" -cf - . | "$RING" exec --lab "$LAB" 1 -- tar -C "$MEDUSA" -xf -
  "$RING" exec --lab "$LAB" 1 -- sh -c 'mkdir -p /etc/medusa /var/lib/medusa && cat >/etc/medusa/medusa.ini' <<'INI'
[cassandra]
config_file = /etc/cassandra/cassandra.yaml
nodetool_flags =
use_sudo = False
resolve_ip_addresses = False
[storage]
storage_provider = local
base_path = /var/lib/medusa
bucket_name = bench
prefix =
fqdn = cass-01
use_sudo_for_restore = False
[monitoring]
[ssh]
[checks]
[logging]
INI
}

# $1 label, then the command: a first copy, and three times nothing new.
real_course() {
  local label=$1 n
  shift
  real_once "$label" first "$@"
  for ((n = 0; n < AGAIN; n++)); do
    real_once "$label" again "$@"
  done
}

# $1 label, $2 first or again, then the command
real_once() {
  local label=$1 what=$2
  shift 2
  sync -f "$WORK"
  /usr/bin/python3 "$PARTS/measure.py" --label "$label" --column "real $what" --judge true --limit "$LIMIT" \
    --out "$WORK/out.real" --results "$WORK/results" -- "$@"
}
