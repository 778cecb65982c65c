# jump.sh: a jump host before every second of the thousand hosts, and how each competitor is told of it.
# shellcheck shell=bash disable=SC2034

# An address out of the hosts' own, and a port of its own: an sshd beside theirs.
JUMP=127.255.0.1 JUMP_PORT=2222

# Its MaxStartups (10:30:100) and MaxSessions (10) are sshd's defaults, as on a jump host that nobody tuned.
make_jump() {
  local i
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$WORK/jump_key"
  printf '[%s]:%s %s\n' "$JUMP" "$JUMP_PORT" "$(cut -d' ' -f1,2 "$WORK/jump_key.pub")" >>"$WORK/known_hosts"
  sed -e '/^Port\|^HostKey\|^ListenAddress\|^MaxStartups\|^#/d' -e 's/^LogLevel .*/LogLevel VERBOSE/' "$WORK/sshd_config" >"$WORK/jump_config"
  printf 'Port %s\nListenAddress %s\nHostKey %s\n' "$JUMP_PORT" "$JUMP" "$WORK/jump_key" >>"$WORK/jump_config"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /usr/bin/python3 "$PARTS/reaper.py" /usr/sbin/sshd -D -e -f "$WORK/jump_config" 2>"$WORK/jump.log" &
  JUMP_SSHD=$!
  for ((i = 0; i < 100; i++)); do
    if (: </dev/tcp/"$JUMP"/"$JUMP_PORT") 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  die "the jump host's sshd does not start: $(tail -n 3 "$WORK/jump.log")"
}

# The inventory's nodes: those with an even last number are behind the jump host.
nodes_behind_jump() {
  sed -n 's/^\(.*\)\[1-\(.*\)\]$/\1 \2/p' "$WORK/ranges" | while read -r block last; do
    printf '  - %s[1-%s/2]\n' "$block" "$last"
    [ "$last" -lt 2 ] || printf '  - host: %s[2-%s/2]\n    proxy_jump: ops@%s:%s\n' "$block" "$last" "$JUMP" "$JUMP_PORT"
  done
}

# What the peers' ssh reads, for key exchange $1. The options of a command line would not reach the jump host.
write_ssh_configs() {
  local column=$1 shared
  for shared in own shared; do
    {
      printf 'Host 127.0.*0 127.0.*2 127.0.*4 127.0.*6 127.0.*8\n  ProxyJump %s@%s:%s\n' "$LOGIN" "$JUMP" "$JUMP_PORT"
      [ "$shared" = own ] || printf 'Host %s\n  ControlMaster auto\n  ControlPath %s/cm-%%C\n  ControlPersist 60\n' "$JUMP" "$WORK"
      printf 'Host *\n  BatchMode yes\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n' "$KEY" "$KNOWN"
      printf '  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  LogLevel ERROR\n'
      [ "$column" = default ] || printf '  KexAlgorithms curve25519-sha256\n'
    } >"$WORK/ssh_config.$column.$shared"
  done
}

# Sets WITH_JUMP, a command that runs the rest of its line with the connection to the jump host open, as people do who know
# that sixty-four ssh at once would not wait for the first to make it. Its time and CPU count.
set_with_jump() {
  # shellcheck disable=SC2016
  WITH_JUMP=(sh -c 'config=$1 jump=$2 port=$3; shift 3
    ssh -F "$config" -o ControlPersist=no -o ControlMaster=yes -N -l ops -p "$port" "$jump" &
    n=0
    until ssh -F "$config" -O check -l ops -p "$port" "$jump" 2>/dev/null || [ $((n += 1)) -gt 200 ]; do sleep 0.02; done
    "$@"
    code=$?
    ssh -F "$config" -O exit -l ops -p "$port" "$jump" 2>/dev/null
    wait
    exit $code' - "$WORK/ssh_config.$1.shared" "$JUMP" "$JUMP_PORT")
}
