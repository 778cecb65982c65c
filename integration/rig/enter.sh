# enter.sh: ways into a lab: run, shell, exec, nodetool, cql.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

# Takes '--lab NAME' and '--' off the front of the arguments; the rest is in ARGS.
take_lab() {
  ARGS=()
  while [ $# -gt 0 ]; do
    case $1 in
      --lab) [ $# -gt 1 ] || usage "$COMMAND: --lab wants a name"; set_lab "$2"; shift 2 ;;
      --lab=*) set_lab "${1#*=}"; shift ;;
      *) break ;;
    esac
  done
  ARGS=("$@")
}

# As take_lab, and the node after it. A '--' between the node and its command is dropped.
take_node() {
  take_lab "$@"
  need_lab
  [ ${#ARGS[@]} -gt 0 ] || usage "$COMMAND: which node? A number, cass-01 or an address: see '$RING $COMMAND --help'"
  set_node "${ARGS[0]}"
  load_node "$N"
  ARGS=("${ARGS[@]:1}")
  [ ${#ARGS[@]} = 0 ] || [ "${ARGS[0]}" != -- ] || ARGS=("${ARGS[@]:1}")
}

# Becomes a command on the controller's side: the lab's network, and a mount namespace in which /etc/hosts knows the nodes.
enter_controller() {
  # shellcheck disable=SC2016
  exec nsenter --net="/run/netns/$NS" unshare --mount --propagation private \
    sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' - "$DIR/hosts" "$@"
}

lab_run() {
  take_lab "$@"
  need_lab
  [ ${#ARGS[@]} = 0 ] || [ "${ARGS[0]}" != -- ] || ARGS=("${ARGS[@]:1}")
  [ ${#ARGS[@]} -gt 0 ] || usage "run: which command? For example: $RING run -- ssh -F \"\$SSH_CONFIG\" cass-01 hostname"
  export_lab
  enter_controller "${ARGS[@]}"
}

# The names a person or a test wants at hand in the lab.
export_lab() {
  set -a
  # shellcheck disable=SC1091
  . "$DIR/env"
  RINGHAUL_INVENTORY=$DIR/inventory.yaml
  RINGHAUL_LAB=$LAB
  set +a
}

lab_shell() {
  local project
  take_lab "$@"
  need_lab
  if [ ${#ARGS[@]} -gt 0 ]; then
    set_node "${ARGS[0]}"
    recorded "$NODE/init" || die "$(node_name "$N") is not running"
    exec nsenter -t "$PID" -m -u -i -n -p -r -w /usr/bin/env -i "${NODE_ENV[@]}" "PS1=root@$(node_name "$N"):\\w# " bash --norc -i
  fi
  export_lab
  project=$(cd "$RIG/../.." && pwd)
  export PATH="$project/target/release:$project/target/debug:$PATH" PS1="[lab $LAB] \\w\\$ "
  say "you are on the controller of lab $LAB: try  ssh -F \$SSH_CONFIG cass-01 nodetool status,  ringhaul audit …,  exit"
  say "nodes: $NODES; inventory: \$RINGHAUL_INVENTORY"
  enter_controller bash --norc -i
}

lab_exec() {
  take_node "$@"
  [ ${#ARGS[@]} -gt 0 ] || usage "exec: which command? For example: $RING exec 1 -- ls /var/lib/cassandra/data"
  recorded "$NODE/init" || die "$(node_name "$N") is not running"
  exec nsenter -t "$PID" -m -u -i -n -p -r -w /usr/bin/env -i "${NODE_ENV[@]}" "${ARGS[@]}"
}

lab_nodetool() {
  take_node "$@"
  recorded "$NODE/init" || die "$(node_name "$N") is not running"
  if [ "$C_JMX_AUTH" = 1 ]; then ARGS=(-u ringhaul -pwf /etc/cassandra/jmxremote.client "${ARGS[@]}"); fi
  # The real one, even when a fault has replaced the node's nodetool.
  exec nsenter -t "$PID" -m -u -i -n -p -r -w /usr/bin/env -i "${NODE_ENV[@]}" sh /usr/lib/rig/nodetool "${ARGS[@]}"
}

lab_cql() {
  take_node "$@"
  install_cqlsh
  [ ${#ARGS[@]} -le 1 ] || usage "cql: the statements are one argument: put them in quotes"
  # cqlsh keeps a history in the home of its caller, which is not the lab's business.
  mkdir -p "$DIR/cqlsh-home"
  export HOME=$DIR/cqlsh-home PYTHONWARNINGS=ignore
  [ ${#ARGS[@]} = 0 ] || ARGS=(-e "${ARGS[0]}")
  enter_controller "$CACHE/cqlsh/bin/cqlsh" --connect-timeout 30 --request-timeout 120 "${ARGS[@]}" "$C_ADDRESS" 9042
}
