# peers.sh: who takes part, and with which command line. Same fan-out, same key, same known hosts; of connections only that to
# a jump host is shared, where one is asked for.
# shellcheck shell=bash

# Sets SSH_OPTIONS for the peers. $1: default or curve25519; $2: how the jump host is used, if there is one.
# ringhaul asks for curve25519 by itself; OpenSSH 9 prefers sntrup761, which is post-quantum and dear.
set_ssh_options() {
  if [ "$BEHIND_JUMP" = 1 ]; then
    SSH_OPTIONS=(-F "$WORK/ssh_config.$1.${2:-own}")
    return
  fi
  SSH_OPTIONS=(-F none -o BatchMode=yes -o "IdentityFile=$KEY" -o IdentitiesOnly=yes -o "UserKnownHostsFile=$KNOWN"
    -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o ControlMaster=no -o LogLevel=ERROR)
  [ "$1" = default ] || SSH_OPTIONS+=(-o KexAlgorithms=curve25519-sha256)
}

# Runs competitor $1 once, in column $2, and has it measured. $3: 'shared' when its ssh shares the connection to the jump host.
run_once() {
  local who=$1 column=$2 jump=${3:-own} check label=$1 scale=1 command few servers=${SSHD:-0}
  set_ssh_options "$column" "$jump"
  case $who in
    ringhaul)
      label='ringhaul audit --json' check=audit
      command=("$RINGHAUL" audit --json --quiet -i "$WORK/inventory.yaml" -F none --in-flight "$IN_FLIGHT") ;;
    clush)
      label="clush -f $IN_FLIGHT" check=named
      command=(clush -f "$IN_FLIGHT" -l "$LOGIN" -o "${SSH_OPTIONS[*]}" -w "$(paste -sd, "$WORK/ranges")" nodetool statusbackup) ;;
    pssh)
      label="pssh -p $IN_FLIGHT" check=inline
      command=(parallel-ssh -i -p "$IN_FLIGHT" -t 0 -l "$LOGIN" -x "${SSH_OPTIONS[*]}" -h "$WORK/addresses" nodetool statusbackup) ;;
    loop)
      label="xargs -P $IN_FLIGHT ssh" check=bare
      command=(xargs -a "$WORK/addresses" -P "$IN_FLIGHT" -I '{}' ssh "${SSH_OPTIONS[@]}" -l "$LOGIN" '{}' nodetool statusbackup) ;;
    sequential)
      few=$((HOSTS < 50 ? HOSTS : 50))
      label='for … ssh' check=bare scale=$(awk "BEGIN { print $HOSTS / $few }")
      [ "$few" = "$HOSTS" ] || label+=" (scaled up from $few)"
      # shellcheck disable=SC2016
      command=(sh -c 'list=$1 few=$2; shift 2; for n in $(head -n "$few" "$list"); do "$@" "$n" nodetool statusbackup; done' -
        "$WORK/addresses" "$few" ssh "${SSH_OPTIONS[@]}" -l "$LOGIN") ;;
  esac
  [ "$STAND_IN" = 1 ] || case $check in audit) ;; *) check=any ;; esac
  if [ "$BEHIND_JUMP" = 1 ]; then
    servers+=,$JUMP_SSHD
    # What the table's readers look for: ControlMaster or not.
    [ "$who" = ringhaul ] || [ "$jump" = shared ] || label+=', ProxyJump'
    if [ "$jump" = shared ]; then
      label+=', ControlMaster'
      set_with_jump "$column"
      command=("${WITH_JUMP[@]}" "${command[@]}")
    fi
  fi
  measured --label "$label" --column "$column" --check "$check" --scale "$scale" --limit "$LIMIT" --jump-log "$WORK/jump.log" \
    --addresses "$WORK/addresses" --out "$WORK/out.$who" --results "$WORK/results" --server "$servers" -- "${command[@]}"
}

# All of them in turn, $1 times over, so that a busy minute of the machine meets all of them.
rounds() {
  local round who column
  for ((round = 1; round <= $1; round++)); do
    for column in ${KEX//,/ }; do
      say "round $round of $1, key exchange: $column"
      [ "$BEHIND_JUMP" = 0 ] || write_ssh_configs "$column"
      for who in ringhaul ${PEERS//,/ }; do
        [ "$who" != none ] || continue
        # The reference first: its row is the one with a shared connection.
        [ "$BEHIND_JUMP" = 0 ] || [ "$who" = ringhaul ] || run_once "$who" "$column" shared
        run_once "$who" "$column"
      done
      [ "$SEQUENTIAL" = 0 ] || run_once sequential "$column"
    done
  done
}
