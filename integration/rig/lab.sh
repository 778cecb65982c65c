# lab.sh: brings a lab up: its folder, its network, its nodes; waits until the ring is whole.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

lab_up() {
  local n began=$SECONDS
  parse_up "$@"
  need_root
  mkdir -p "$LABS"
  [ "$(stat -f -c %T "$LABS")" != overlayfs ] || die "$LABS lies on an overlay, which cannot carry another: set RINGHAUL_LABS to a folder on a disk"
  # Held until this process ends, however it ends: two 'up' of one name do not meet.
  exec 8>"$LABS/.$LAB.lock"
  flock -n 8 || die "somebody else is starting or clearing lab '$LAB' just now"
  [ ! -e "$DIR" ] && [ ! -e "/run/netns/$NS" ] || die "lab '$LAB' is there already: use it, clear it with '$RING down --lab $LAB', or take another name with --lab"
  install_tools
  mkdir -m 700 "$DIR" "$DIR/nodes"
  record_pid "$DIR/up" "$$"
  # From here on something is there to be cleared when a person stops this by ^C.
  trap 'trap - INT TERM; say "stopped: clearing lab $LAB"; rm -f "$DIR/up"; lab_clear; exit 130' INT TERM
  # An option that cannot work leaves nothing behind.
  ( for ((n = 1; n <= NODES; n++)); do write_conf "$n"; done ) || { rm -rf "$DIR"; exit 2; }
  for n in $(cat "$DIR"/nodes/*/conf | sed -n 's/^C_VERSION=//p' | sort -u); do install_jars "$n"; done
  JAVA_IN_NODE=$JAVA17
  case $JAVA17 in /usr/*) ;; *) JAVA_IN_NODE=/usr/lib/jvm/rig-jdk ;; esac

  say "lab $LAB: $NODES nodes of Cassandra $(cat "$DIR"/nodes/*/conf | sed -n 's/^C_VERSION=//p' | sort -u | paste -sd' ')"
  if [ "$(for n in $(node_numbers); do load_node "$n"; echo "${C_VERSION%.*} $C_OA"; done | sort -u | wc -l)" != 1 ]; then
    say "nodes of different release lines, or with and without oa/bti, do not take CQL schemas from each other (so does Cassandra);"
    say "  '$RING seed' makes its tables on each of them"
  fi
  printf '%s\n' "${YAML_LINES[@]}" >"$DIR/yaml"
  make_keys
  write_hosts
  make_network
  for ((n = 1; n <= NODES; n++)); do
    prepare_node "$n"
    start_node "$n"
  done
  write_papers
  for ((n = 1; n <= NODES; n++)); do load_node "$n"; wait_for_init; done
  say "$NODES hosts with sshd are up ($((SECONDS - began)) s), Cassandra is starting"
  if [ "$WAIT" = 1 ]; then
    wait_for_ring "$((SECONDS + TIMEOUT))" "$began"
    say "$NODES nodes are UN, seen by each of them: $((SECONDS - began)) s"
  fi
  trap - INT TERM
  rm -f "$DIR/up"
  say "go on with:  $RING shell --lab $LAB       (a shell from which the nodes are reached)"
  say "             $RING list                   (what is there)"
  say "             $RING down --lab $LAB        (takes all of it away)"
  say "inventory:   $DIR/inventory.yaml"
}

make_keys() {
  local n type
  for type in ed25519 ecdsa rsa; do
    ssh-keygen -q -N '' -t "$type" -C "controller of lab $LAB" -f "$DIR/id_$type" &
  done
  for ((n = 1; n <= NODES; n++)); do make_host_keys "$n" & done
  wait
  [ -s "$DIR/id_rsa.pub" ] || die "ssh-keygen made no keys"
}

write_hosts() {
  local n
  {
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n'
    for ((n = 1; n <= NODES; n++)); do load_node "$n"; printf '%s %s\n' "$C_ADDRESS" "$(node_name "$n")"; done
  } >"$DIR/hosts"
}

# A namespace with a bridge and the controller's address, and one for each node with a cable into the bridge. No cable leads out.
make_network() {
  local n
  ip netns add "$NS"
  nsenter --net="/run/netns/$NS" sh -c 'for f in all default; do echo 0 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done' 2>/dev/null || true
  {
    echo 'link set lo up'
    echo 'link add br0 type bridge forward_delay 0 mcast_snooping 0'
    # Says whose this namespace is, also when the lab's folder has been lost.
    echo "link set br0 alias $DIR"
    echo "addr add $NET4.1/24 dev br0"
    [ "$IPV6" = 0 ] || echo "addr add ${NET6}1/64 dev br0 nodad"
    echo 'link set br0 up'
  } | ip -n "$NS" -batch -
  for ((n = 1; n <= NODES; n++)); do
    load_node "$n"
    ip netns add "$NS.$n"
    printf '%s\n' "link add v$n type veth peer name eth0 netns $NS.$n" "link set v$n master br0" "link set v$n up" | ip -n "$NS" -batch -
    nsenter --net="/run/netns/$NS.$n" sh -c 'for f in all default eth0; do echo 0 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done' 2>/dev/null || true
    {
      echo 'link set lo up'
      if [ "$IPV6" = 1 ]; then echo "addr add $C_ADDRESS/64 dev eth0 nodad"; else echo "addr add $C_ADDRESS/24 dev eth0"; fi
      echo 'link set eth0 up'
    } | ip -n "$NS.$n" -batch -
  done
}

# What a client of the lab needs: known_hosts, ssh_config, the inventory of ringhaul, and env with all the names.
write_papers() {
  local n nodes='' port user
  user=${DEFAULTS[user]} port=${DEFAULTS[ssh-port]}
  [ "${DEFAULTS[sudo]}" != root ] || user=root
  {
    printf 'cluster: %s\ndefaults:\n  user: %s\n  port: %s\n' "$LAB" "$user" "$port"
    printf '  identity_file: %s\n  known_hosts: %s\nnodes:\n' "$DIR/id_ed25519" "$DIR/known_hosts"
    for ((n = 1; n <= NODES; n++)); do
      load_node "$n"
      printf '  - host: %s\n    dc: %s\n    rack: %s\n' "$(yaml_text "$C_ADDRESS")" "$(yaml_text "$C_DC")" "$(yaml_text "$C_RACK")"
      [ "$C_USER" = "$user" ] || printf '    user: %s\n' "$C_USER"
      [ "$C_SSH_PORT" = "$port" ] || printf '    port: %s\n' "$C_SSH_PORT"
      if [ "$C_JMX_PORT" != 7199 ] || [ "$C_JMX_AUTH" = 1 ]; then printf '    jmx:\n'; fi
      [ "$C_JMX_PORT" = 7199 ] || printf '      port: %s\n' "$C_JMX_PORT"
      [ "$C_JMX_AUTH" = 0 ] || printf '      user: ringhaul\n      password_file: /etc/cassandra/jmxremote.client\n'
    done
  } >"$DIR/inventory.yaml"
  for ((n = 1; n <= NODES; n++)); do
    load_node "$n"
    nodes+=" $C_ADDRESS"
    host_key_lines "$n" >&3
    printf 'Host %s %s\n  HostName %s\n  User %s\n  Port %s\n' "$(node_name "$n")" "$C_ADDRESS" "$C_ADDRESS" "$C_USER" "$C_SSH_PORT"
  done >"$DIR/ssh_config" 3>"$DIR/known_hosts"
  printf '%s\n' 'Host *' "  IdentityFile $DIR/id_ed25519" '  IdentitiesOnly yes' "  UserKnownHostsFile $DIR/known_hosts" \
    '  GlobalKnownHostsFile none' '  StrictHostKeyChecking yes' '  BatchMode yes' '  ConnectTimeout 10' >>"$DIR/ssh_config"
  printf '%s=%q\n' LAB "$LAB" NETNS "$NS" KEY "$DIR/id_ed25519" KNOWN_HOSTS "$DIR/known_hosts" SSH_CONFIG "$DIR/ssh_config" \
    INVENTORY "$DIR/inventory.yaml" NODES "${nodes# }" JAVA17 "$JAVA17" >"$DIR/env"
}

# Quoted where YAML or a reader could take it for something else.
yaml_text() {
  if [[ $1 =~ ^[A-Za-z][A-Za-z0-9_-]*$|^[0-9]+(\.[0-9]+){3}$ ]]; then printf '%s' "$1"; else printf '"%s"' "${1//[\"\\]/\\&}"; fi
}

# Waits until every node answers CQL, then until each one sees all of them UN. Open ports cost nothing to ask; nodetool starts a JVM.
wait_for_ring() {
  local deadline=$1 began=$2 n up=' ' left whole askers
  while :; do
    left=0
    for ((n = 1; n <= NODES; n++)); do
      [[ $up != *" $n "* ]] || continue
      load_node "$n"
      if port_open "$C_ADDRESS" 9042; then
        up+="$n "
        say "$(node_name "$n") ($C_ADDRESS, $C_DC/$C_RACK, $C_VERSION) answers CQL ($((SECONDS - began)) s)"
      else
        left=1
        [[ $(in_node /usr/lib/rig/service state) == *' running ' ]] || give_up "Cassandra of $(node_name "$n") has ended"
      fi
    done
    [ "$left" = 1 ] || break
    [ "$SECONDS" -lt "$deadline" ] || give_up "no CQL from $(node_name "$n") after $TIMEOUT s"
    sleep 0.5
  done
  while :; do
    whole=1
    askers=()       # only these are waited for: the nodes are children of this shell too
    for ((n = 1; n <= NODES; n++)); do
      load_node "$n"
      (sees_all || : >"$NODE/not-whole") &
      askers+=("$!")
    done
    wait "${askers[@]}"
    for ((n = 1; n <= NODES; n++)); do [ ! -e "$DIR/nodes/$n/not-whole" ] || { whole=0; rm "$DIR/nodes/$n/not-whole"; N=$n NODE=$DIR/nodes/$n; }; done
    [ "$whole" = 0 ] || return 0
    [ "$SECONDS" -lt "$deadline" ] || give_up "$(node_name "$N") does not see all $NODES nodes UN"
    sleep 0.5
  done
}

# Does node $N see every node up and normal?
sees_all() {
  [ "$(timeout 60 "$SELF" nodetool --lab "$LAB" "$N" status 2>/dev/null | grep -c '^UN ')" = "$NODES" ]
}

# The lab is left standing: a person wants to look at it.
give_up() {
  say "last lines of $(node_name "$N"):"
  tail -n 20 "$NODE"/upper/var/log/cassandra/{stdout,system}.log 2>/dev/null | cut -c1-220 >&2 || true
  die "$1. The lab is left for you to look at ('$RING exec --lab $LAB $N -- bash'); clear it with '$RING down --lab $LAB'"
}
