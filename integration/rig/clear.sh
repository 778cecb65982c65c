# clear.sh: takes labs away, whole or half built, and lists what is there. Needs no help from the nodes.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

lab_down() {
  local all=0 labs lab
  while [ $# -gt 0 ]; do
    case $1 in
      --all) all=1 ;;
      --lab) [ $# -gt 1 ] || usage "down: --lab wants a name"; set_lab "$2"; shift ;;
      --lab=*) set_lab "${1#*=}" ;;
      *) usage "down: '$1' is not an option: see '$RING down --help'" ;;
    esac
    shift
  done
  need_root
  mkdir -p "$LABS"
  labs=$LAB
  [ "$all" = 0 ] || labs=$(find "$LABS" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort)
  for lab in $labs; do
    set_lab "$lab"
    clear_one
  done
  if [ "$all" = 1 ]; then
    for lab in $(foreign_namespaces); do say "not touched: network namespace $lab belongs to no lab in $LABS"; done
  fi
}

clear_one() {
  local alias
  [ -d "$DIR" ] || [ -e "/run/netns/$NS" ] || { rm -f "$LABS/.$LAB.lock"; say "there is no lab '$LAB' (any more)"; return 0; }
  if [ "$(readlink "/proc/$$/ns/net")" = "net:[$(namespace_id "$NS")]" ]; then
    die "this shell is inside lab '$LAB': leave it first ('exit'), then take the lab down"
  fi
  # A lab of the same name in another RINGHAUL_LABS is not ours to clear.
  alias=$(ip -n "$NS" link show br0 2>/dev/null | sed -n 's/^ *alias //p') || true
  if [ -n "$alias" ] && [ "$alias" != "$DIR" ] && [ -d "$alias" ]; then
    die "lab '$LAB' belongs to RINGHAUL_LABS=${alias%/*}: set that and try again"
  fi
  # An 'up' that still runs would go on building.
  end_recorded "$DIR/up" || true
  exec 8>"$LABS/.$LAB.lock"
  flock -w 30 8 || die "somebody else has been working on lab '$LAB' for 30 s: try again"
  lab_clear
  exec 8>&-
  say "lab '$LAB' is gone"
}

# Kills each node's first process (its kernel namespace ends the rest), whatever still lives in the lab's network, then the traces.
lab_clear() {
  local file ns left=0
  for file in "$DIR"/nodes/*/pid; do
    [ -e "$file" ] || continue
    if recorded "$file"; then kill -KILL "$PID" 2>/dev/null || true; fi
  done
  for file in "$DIR"/nodes/*/{pid,init}; do
    [ ! -e "$file" ] || end_recorded "$file" || left=1
  done
  for ns in $(lab_namespaces); do
    end_inhabitants "$ns" || left=1
    ip netns delete "$ns" 2>/dev/null || true
  done
  [ "$left" = 0 ] || die "lab '$LAB' could not be cleared to the end: run '$RING down --lab $LAB' once more"
  # All mounts of a node live in its own namespace and are gone with it: should one be here, it must not be emptied by rm.
  if grep -qF " $DIR/" /proc/mounts; then die "something is still mounted below $DIR: unmount it, then try again"; fi
  rm -rf --one-file-system "$DIR"
  rm -f "$LABS/.$LAB.lock"
}

lab_namespaces() { find /run/netns -maxdepth 1 \( -name "$NS" -o -name "$NS.[0-9]*" \) -printf '%f\n' 2>/dev/null; }
foreign_namespaces() {
  local ns lab
  for ns in /run/netns/rh-*; do
    [ -e "$ns" ] || continue
    ns=${ns##*/}; lab=${ns#rh-}
    [ -d "$LABS/${lab%.*}" ] || echo "$ns"
  done
}
namespace_id() { stat -L -c %i "/run/netns/$1" 2>/dev/null || echo none; }

# Ends what was started by 'run' or 'shell' and still lives there. The rig made this namespace, so whoever is in it came through the rig;
# that a process is in it is looked at again right before the signal.
end_inhabitants() {
  local id pid i
  id=$(namespace_id "$1")
  [ "$id" != none ] && [ "$id" != "$(stat -L -c %i /proc/self/ns/net)" ] || return 0
  for ((i = 0; i < 200; i++)); do
    pid=
    for pid in $(ip netns pids "$1" 2>/dev/null); do
      [ "$(readlink "/proc/$pid/ns/net" 2>/dev/null)" != "net:[$id]" ] || kill -KILL "$pid" 2>/dev/null || true
    done
    [ -n "$pid" ] || return 0
    sleep 0.05
  done
  warn "process $pid in namespace $1 does not end"
  return 1
}

lab_list() {
  local dir n state link
  [ $# = 0 ] || usage "list: it takes no arguments"
  need_root
  for dir in "$LABS"/*/; do
    [ -d "$dir" ] || continue
    dir=${dir%/}
    set_lab "${dir##*/}"
    if [ -e "$DIR/env" ]; then printf 'lab %s  %s\n' "$LAB" "$DIR"; else printf 'lab %s  %s  (half built: clear it by %s down --lab %s)\n' "$LAB" "$DIR" "$RING" "$LAB"; fi
    for n in $(node_numbers); do
      [ -e "$DIR/nodes/$n/conf" ] || continue
      load_node "$n"
      link=$(ip -n "$NS" link show "v$n" 2>/dev/null) || link=
      if [[ $link == *[,\<]UP[,\>]* ]]; then link=up; else link=down; fi
      if recorded "$NODE/init"; then
        state=$(in_node /usr/lib/rig/service state) || state='? ?'
        # shellcheck disable=SC2086
        set -- $state
        printf '  %-8s %-12s %-7s %-8s %-16s ssh %s@:%s sudo %s; sshd %s, cassandra %s, link %s\n' "$(node_name "$n")" "$C_ADDRESS" "$C_VERSION" "$C_LAYOUT" \
          "$C_DC/$C_RACK" "$C_USER" "$C_SSH_PORT" "$C_SUDO" "$1" "$2" "$link"
      else
        printf '  %-8s %-12s %-7s host is down\n' "$(node_name "$n")" "$C_ADDRESS" "$C_VERSION"
      fi
    done
  done
}
