# fault.sh: breaks one thing of a node on request, and mends it.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

FAULTS='sshd-stop        end the listening sshd (its sessions live on), so that connections are refused
sshd-start       … start it again
sshd-pause       SIGSTOP the listening sshd: connections are accepted, and nothing is said
sshd-resume      … SIGCONT
link-down        pull the cable of the node
link-up          … plug it in
kill             kill -9 Cassandra
start            … start Cassandra and wait until the ring sees it UN
start-nowait     … start Cassandra and do not wait
pause            SIGSTOP Cassandra: its ports are open, and it says nothing
resume           … SIGCONT
jmx-close        refuse connections to the JMX port (the JVM goes on)
jmx-open         … accept them again
nodetool-hang    nodetool sleeps for a day
nodetool-flood   nodetool prints for ever
nodetool-escapes nodetool prints terminal escape sequences around its answer, on stdout and stderr
nodetool-noise   nodetool prints JVM warnings and log lines on stdout before its answer
nodetool-ok      … nodetool is itself again
disk-full        fill the disk of the data (the lab needs: up --disk MB)
disk-free        … make room again
hostkey-change   new host keys, sshd restarted; known_hosts of the lab keeps the old ones (no way back)
rc-banner        the start-up file of the SSH user'"'"'s shell prints on stdout and stderr
rc-ok            … it is quiet again'

lab_fault() {
  local fault
  take_lab "$@"
  if [ "${ARGS[0]:-}" = --list ]; then
    printf '%s\n' "$FAULTS"
    return 0
  fi
  take_node "$@"
  [ ${#ARGS[@]} = 1 ] || usage "fault: wants a node and a fault: see '$RING fault --list'"
  fault=${ARGS[0]}
  grep -q "^$fault " <<<"$FAULTS" || usage "fault: there is no fault '$fault': see '$RING fault --list'"
  case $fault in
    # The bridge's end of the cable: the node's own end keeps its address and sees no carrier, as with a real one.
    link-down) ip -n "$NS" link set "v$N" down ;;
    link-up) ip -n "$NS" link set "v$N" up ;;
    jmx-close) jmx_close ;;
    jmx-open) nsenter --net="/run/netns/$NS.$N" nft delete table inet ringhaul 2>/dev/null || true ;;
    start)
      in_node /usr/lib/rig/service start
      wait_for_node ;;
    start-nowait) in_node /usr/lib/rig/service start ;;
    rc-*) in_node /usr/lib/rig/service "$fault" "$C_USER" ;;
    *) in_node /usr/lib/rig/service "$fault" ;;
  esac
  say "$(node_name "$N"): $fault done"
}

# A rule in the node's own network namespace: new and old connections to the port are reset, which is what a closed port looks like.
jmx_close() {
  nsenter --net="/run/netns/$NS.$N" nft -f - <<NFT
add table inet ringhaul
delete table inet ringhaul
table inet ringhaul {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport $C_JMX_PORT reject with tcp reset
  }
}
NFT
}

# Until Cassandra of node $N answers CQL and stands UN in its own list and in that of another node which runs.
wait_for_node() {
  local deadline=$((SECONDS + 180)) me=$N n witnesses="$N" shown
  until port_open "$C_ADDRESS" 9042; do
    [[ $(in_node /usr/lib/rig/service state) == *' running ' ]] || give_up "Cassandra of $(node_name "$N") has ended"
    [ "$SECONDS" -lt "$deadline" ] || give_up "Cassandra of $(node_name "$N") does not answer CQL after 180 s"
    sleep 0.5
  done
  for n in $(node_numbers); do
    NODE=$DIR/nodes/$n
    if [ "$n" != "$me" ] && [[ $(in_node /usr/lib/rig/service state) == *' running ' ]]; then
      witnesses+=" $n"
      break
    fi
  done
  load_node "$me"
  shown=${C_ADDRESS/::/:0:0:0:0:0:0:}      # Java writes IPv6 addresses out in full
  for n in $witnesses; do
    until timeout 60 "$SELF" nodetool --lab "$LAB" "$n" status 2>/dev/null | grep -qE "^UN +${shown//./\\.} "; do
      [ "$SECONDS" -lt "$deadline" ] || give_up "$(node_name "$n") does not see $(node_name "$me") as UN after 180 s"
      sleep 0.5
    done
  done
}
