# common.sh: what every part of the rig uses: messages, folders, names, and the one way to end a process.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

CACHE=${RINGHAUL_CACHE:-${HOME:-/root}/.cache/ringhaul}
LABS=${RINGHAUL_LABS:-/var/tmp/ringhaul-labs}
NET4=10.77.0      # these addresses exist only inside a lab's namespaces, so every lab may use the same ones
NET6=fd77::

# stdout is kept for answers (of run, exec, cql, nodetool); everything the rig says about itself is on stderr.
say() { printf 'ring: %s\n' "$*" >&2; }
warn() { printf 'ring: warning: %s\n' "$*" >&2; }
die() { printf 'ring: error: %s\n' "$*" >&2; exit 1; }
usage() { printf 'ring: %s\n' "$*" >&2; exit 2; }

need_root() {
  [ "$(id -u)" = 0 ] || die "namespaces and mounts need root: run this again as root, for example 'sudo $RING $COMMAND …'"
}

# A dot is not allowed in a lab's name: 'rh-LAB' is the controller's namespace and 'rh-LAB.N' a node's, so no two labs can meet.
set_lab() {
  LAB=$1
  [[ $LAB =~ ^[a-zA-Z0-9][a-zA-Z0-9_-]{0,39}$ ]] ||
    usage "'$LAB' is no lab name: use up to 40 letters, digits, '-' and '_'"
  DIR=$LABS/$LAB
  NS=rh-$LAB
}

need_lab() {
  need_root
  [ -d "$DIR" ] || die "there is no lab '$LAB' in $LABS: see '$RING list', or start it with '$RING up --lab $LAB'"
  [ -e "/run/netns/$NS" ] || die "lab '$LAB' is only half there: clear it with '$RING down --lab $LAB', then start it again"
}

# Sets N from 2, cass-02 or an address.
set_node() {
  local name=$1 d
  N=
  for d in "$DIR"/nodes/*/; do
    d=${d%/}; d=${d##*/}
    if [ "$name" = "$d" ] || [ "$name" = "$(node_name "$d")" ] || [ "$name" = "$NET4.$((10 + d))" ] || [ "$name" = "$NET6$((10 + d))" ]; then
      N=$d
    fi
  done
  [ -n "$N" ] || usage "lab '$LAB' has no node '$name': say a number, cass-01 or an address; '$RING list' shows them"
  NODE=$DIR/nodes/$N
}

node_name() { printf 'cass-%02d' "$1"; }

node_numbers() { find "$DIR/nodes" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n; }

# The C_… settings of node $1 (see options.sh) become variables.
load_node() {
  N=$1
  NODE=$DIR/nodes/$1
  # shellcheck disable=SC1091
  . "$NODE/conf"
}

# A pid alone may have been given to another process since: pid and start time together name one process for ever.
proc_start() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  stat=${stat##*) }                 # the name before it may hold spaces and brackets
  # shellcheck disable=SC2086
  set -- $stat
  [ "$1" != Z ] || return 1
  printf '%s\n' "${20}"
}

record_pid() { printf '%s %s\n' "$2" "$(proc_start "$2")" >"$1"; }

# Sets PID when the process recorded in file $1 still lives.
recorded() {
  local pid start
  PID=
  { read -r pid start <"$1"; } 2>/dev/null || return 1
  [ -n "$start" ] && [ "$(proc_start "$pid")" = "$start" ] || return 1
  PID=$pid
}

# Ends the process recorded in file $1 and waits until it is gone. Up to 10 s: a node with much memory takes a moment to fall.
end_recorded() {
  local i
  recorded "$1" || return 0
  kill -KILL "$PID" 2>/dev/null || true
  for ((i = 0; i < 200; i++)); do
    recorded "$1" || return 0
    sleep 0.05
  done
  warn "process $PID ($1) does not end"
  return 1
}

# Runs a command as root inside node $N. Leaves nothing of the controller's environment to it.
in_node() {
  recorded "$NODE/init" || die "$(node_name "$N") of lab '$LAB' is not running: clear the lab with '$RING down --lab $LAB'"
  nsenter -t "$PID" -m -u -i -n -p -r -w /usr/bin/env -i "${NODE_ENV[@]}" "$@"
}
NODE_ENV=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 "TERM=${TERM:-dumb}")

# Is TCP port $2 of address $1 open, seen from the controller?
port_open() {
  nsenter --net="/run/netns/$NS" timeout 1 bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "$1" "$2" 2>/dev/null
}
