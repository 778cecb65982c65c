# seed.sh: writes sample data that make an audit interesting.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

lab_seed() {
  local n all5=1 replication='' began=$SECONDS dc addresses=() lines
  take_lab "$@"
  need_lab
  [ ${#ARGS[@]} = 0 ] || usage "seed: '${ARGS[0]}' is not an option: see '$RING seed --help'"
  install_cqlsh
  local -A per_dc=()
  for n in $(node_numbers); do
    load_node "$n"
    addresses+=("$C_ADDRESS")
    per_dc[$C_DC]=$((${per_dc[$C_DC]:-0} + 1))
    case $C_VERSION in 5.*) ;; *) all5=0 ;; esac
  done
  for dc in "${!per_dc[@]}"; do replication+=", '$dc': $((per_dc[$dc] < 3 ? per_dc[$dc] : 3))"; done
  lines=$(for n in $(node_numbers); do load_node "$n"; echo "${C_VERSION%.*} $C_OA"; done | sort -u | wc -l)
  say "writing sample data"
  # The file goes with the lab; the statements are sent by the driver that came with cqlsh.
  seed_statements "$replication" "$all5" "$lines" >"$DIR/seed.cql"
  seed_sender >"$DIR/seed.py"
  ( enter_controller timeout 300 "$CACHE/cqlsh/bin/python" -W ignore "$DIR/seed.py" "$DIR/seed.cql" "$lines" "${addresses[@]}" ) >"$DIR/seed.out" 2>&1 ||
    { cat "$DIR/seed.out" >&2; die "the sample data could not be written (see above)"; }
  for n in $(node_numbers); do
    ( "$SELF" nodetool --lab "$LAB" "$n" flush backups && "$SELF" nodetool --lab "$LAB" "$n" snapshot -t before-upgrade shop ) \
      >"$DIR/nodes/$n/seed.out" 2>&1 || : >"$DIR/nodes/$n/not-seeded" &
  done
  wait
  for n in $(node_numbers); do
    [ ! -e "$DIR/nodes/$n/not-seeded" ] || { rm "$DIR/nodes/$n/not-seeded"; cat "$DIR/nodes/$n/seed.out" >&2; die "$(node_name "$n") could not flush and take a snapshot"; }
  done
  say "keyspaces shop and backups are there, with an index, a dropped table, a truncated one and a snapshot ($((SECONDS - began)) s)"
}

# Statements, each ended by a line '--'. $1 replication, $2 1 when all nodes are 5.0, $3 how many release lines are in the ring.
seed_statements() {
  local i table
  local -A id=()
  # Nodes of different release lines (or with and without --oa) do not take a schema from each other, so it is made on each of them, with the same table ids.
  i=0
  for table in orders snapshots carts old_orders products; do
    i=$((i + 1))
    id[$table]=
    [ "$3" = 1 ] || id[$table]=" WITH id = 5eed0000-0000-11f0-8000-00000000000$i"
  done
  cat <<CQL
CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {'class': 'NetworkTopologyStrategy'$1}
--
CREATE KEYSPACE IF NOT EXISTS backups WITH replication = {'class': 'NetworkTopologyStrategy'$1}
--
CREATE TABLE IF NOT EXISTS shop.orders (id int PRIMARY KEY, status text, customer text)${id[orders]}
--
CREATE INDEX IF NOT EXISTS orders_by_status ON shop.orders (status)
--
CREATE TABLE IF NOT EXISTS backups.snapshots (id int PRIMARY KEY, note text)${id[snapshots]}
--
CREATE TABLE IF NOT EXISTS shop.carts (id int PRIMARY KEY, what text)${id[carts]}
--
CREATE TABLE IF NOT EXISTS shop.old_orders (id int PRIMARY KEY, what text)${id[old_orders]}
--
CQL
  [ "$2" = 0 ] || cat <<CQL
CREATE TABLE IF NOT EXISTS shop.products (id int PRIMARY KEY, price int, name text)${id[products]}
--
CREATE INDEX IF NOT EXISTS products_by_price ON shop.products (price) USING 'sai'
--
CQL
  # Ten rows a batch: Cassandra warns of larger ones.
  for i in 1 11; do
    insert_rows "$i" 'shop.orders (id, status, customer)' "'open', 'customer"
    insert_rows "$i" 'backups.snapshots (id, note)' "'row of a keyspace called backups"
    insert_rows "$i" 'shop.carts (id, what)' "'tea"
    insert_rows "$i" 'shop.old_orders (id, what)' "'sugar"
    [ "$2" = 0 ] || insert_rows "$i" 'shop.products (id, price, name)' "$((i * 3)), 'product"
  done
  printf '%s\n--\n' 'TRUNCATE shop.carts' 'DROP TABLE IF EXISTS shop.old_orders'
}

insert_rows() {
  local i
  echo 'BEGIN UNLOGGED BATCH'
  for ((i = $1; i < $1 + 10; i++)); do echo "INSERT INTO $2 VALUES ($i, $3 $i');"; done
  printf 'APPLY BATCH\n--\n'
}

# Arguments: file, number of release lines, addresses. Agreement on the schema is waited for where it can come.
seed_sender() {
  cat <<'PY'
import sys
from cassandra import ConsistencyLevel
from cassandra.cluster import Cluster, ExecutionProfile, EXEC_PROFILE_DEFAULT
from cassandra.policies import WhiteListRoundRobinPolicy

path, lines, hosts = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
statements = [s.strip() for s in open(path).read().split('\n--\n') if s.strip()]
hosts = hosts if lines > 1 else hosts[:1]
sessions = []
for host in hosts:
    profile = ExecutionProfile(WhiteListRoundRobinPolicy([host]), request_timeout=60, consistency_level=ConsistencyLevel.ONE)
    cluster = Cluster([host], protocol_version=4, connect_timeout=30, schema_metadata_enabled=False,
                      max_schema_agreement_wait=0 if lines > 1 else 30, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
    sessions.append(cluster.connect())
for statement in statements:
    for session in sessions if statement.split()[0] in ('CREATE', 'DROP') else sessions[:1]:
        session.execute(statement)
for session in sessions:
    session.cluster.shutdown()
PY
}
