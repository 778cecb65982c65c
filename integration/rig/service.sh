#!/bin/bash
# service.sh: lives in each node as /usr/lib/rig/service: its init, its services, and the faults that happen inside the host.
# Processes are known by pid and start time (/run/rig/NAME), never by name; a pid here is one of the node's own namespace.
set -euo pipefail

RUN=/run/rig
NODETOOL=$(cat /usr/lib/rig/nodetool.path)
fail() { printf '%s: %s\n' "$(cat /etc/hostname)" "$*" >&2; exit 1; }

start_of() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086
  set -- $stat
  [ "$1" != Z ] || return 1
  printf '%s %s\n' "${20}" "$1"
}

# Sets PID and STATE when service $1 lives.
alive() {
  local pid start now
  PID='' STATE=''
  { read -r pid start <"$RUN/$1"; } 2>/dev/null || return 1
  now=$(start_of "$pid") || return 1
  [ "${now% *}" = "$start" ] || return 1
  PID=$pid STATE=${now#* }
}

signal() { alive "$2" || fail "$2 is not running"; kill "-$1" "$PID"; }

stop_hard() {
  local i
  alive "$1" || return 0
  kill -KILL "$PID"
  for ((i = 0; i < 200; i++)); do alive "$1" || return 0; sleep 0.05; done
  fail "$1 does not end"
}

# A daemon in a session of its own; when its starter goes, it becomes a child of this node's init.
spawn() {
  local name=$1 log=$2 pid
  shift 2
  ! alive "$name" || return 0
  setsid "$@" </dev/null >>"$log" 2>&1 &
  pid=$!
  printf '%s %s\n' "$pid" "$(start_of "$pid" | cut -d' ' -f1)" >"$RUN/$name"
}

sshd_start() { spawn sshd /var/log/sshd.log /usr/sbin/sshd -D -e; }

cassandra_start() {
  ulimit -n 100000 2>/dev/null || true
  ulimit -l unlimited 2>/dev/null || true
  spawn cassandra /var/log/cassandra/stdout.log setpriv --reuid=cassandra --regid=cassandra --init-groups \
    env -i PATH="$PATH" HOME=/var/lib/cassandra LANG=C.UTF-8 "$(cat /usr/lib/rig/launcher)"
}

init() {
  mkdir -p "$RUN" /run/sshd /run/cassandra
  chown cassandra:cassandra /run/cassandra
  sshd_start
  cassandra_start
  : >"$RUN/started"
  # bash reaps the orphans of the whole node while it waits.
  while :; do sleep 86400 & wait "$!" || true; done
}

# Where Cassandra's data lie: the parent of the first data folder.
data_disk() { cat /usr/lib/rig/var; }

disk_full() {
  local disk
  disk=$(data_disk)
  [ "$(stat -f -c %T "$disk")" = tmpfs ] || fail "the data lie on the host's own disk, which must not be filled: start the lab with --disk MB"
  # dd ends with 'no space left': that is what is wanted.
  dd if=/dev/zero of="$disk/filler" bs=64k status=none 2>/dev/null || true
  df -h "$disk" >&2
}

# The shells read such a file for commands over ssh too, which is how a banner gets into the answers.
rc_files() { local home; home=$(getent passwd "$1" | cut -d: -f6); printf '%s\n' "$home/.bashrc" "$home/.cshrc" "$home/.config/fish/config.fish"; }

rc_banner() {
  local file
  rc_ok "$1"
  for file in $(rc_files "$1"); do
    mkdir -p "$(dirname "$file")"
    [ ! -e "$file" ] || cp -p "$file" "$file.before-banner"
    { echo "echo '*** Welcome to $(cat /etc/hostname), property of ACME: all use is logged ***'"
      case $file in *.cshrc) echo 'sh -c "echo last backup: running >&2"' ;; *) echo 'echo "last backup: running" >&2' ;; esac
      cat "$file" 2>/dev/null || true; } >"$file.new"
    mv "$file.new" "$file"
    chown --reference="$(dirname "$(rc_files "$1" | head -1)")" "$file"
  done
}

rc_ok() {
  local file
  for file in $(rc_files "$1"); do
    if [ -e "$file.before-banner" ]; then mv "$file.before-banner" "$file"; elif grep -qs 'property of ACME' "$file"; then rm -f "$file"; fi
  done
}

# Puts the script on stdin in the place of nodetool.
replace_nodetool() { cat >"$NODETOOL.new"; chmod 755 "$NODETOOL.new"; mv "$NODETOOL.new" "$NODETOOL"; }

nodetool_fault() {
  case $1 in
    ok) replace_nodetool </usr/lib/rig/nodetool ;;
    hang) replace_nodetool <<'SH'
#!/bin/sh
sleep 86400
SH
      ;;
    flood) replace_nodetool <<'SH'
#!/bin/sh
exec yes 'UN  10.77.0.99  123.53 KiB  4       100.0%            79ee44f4-0518-4804-b50e-4de0aaa3866c  r1'
SH
      ;;
    escapes) replace_nodetool <<'SH'
#!/bin/sh
printf '\033]0;owned\007\033[2J\033[H\033[31mred\033[0m\033]52;c;b3duZWQ=\007\r\n'
printf '\033[1A\033[2K\033]8;;http://lab.example\033\\link\033]8;;\033\\\033P$q q\033\\\n' >&2
/bin/sh /usr/lib/rig/nodetool "$@"
code=$?
printf '\033[5m\033[?25l\b\b\b\n'
exit $code
SH
      ;;
    noise) replace_nodetool <<'SH'
#!/bin/sh
echo 'OpenJDK 64-Bit Server VM warning: Option UseConcMarkSweepGC was deprecated in version 9.0 and will likely be removed in a future release.'
echo 'WARN  [main] 2026-01-01 00:00:00,001 DatabaseDescriptor.java:579 - Small commitlog volume detected at /var/lib/cassandra/commitlog; not running at full speed'
echo '00:00:00.002 [main] DEBUG i.n.u.i.l.InternalLoggerFactory - Using SLF4J as the default logging framework'
echo 'WARNING: An illegal reflective access operation has occurred' >&2
/bin/sh /usr/lib/rig/nodetool "$@"
SH
      ;;
  esac
}

case ${1:?} in
  init) init ;;
  sshd-start) sshd_start ;;
  sshd-stop) stop_hard sshd ;;
  sshd-pause) signal STOP sshd ;;
  sshd-resume) signal CONT sshd ;;
  start) cassandra_start ;;
  kill) stop_hard cassandra ;;
  pause) signal STOP cassandra ;;
  resume) signal CONT cassandra ;;
  nodetool-*) nodetool_fault "${1#nodetool-}" ;;
  disk-full) disk_full ;;
  disk-free) rm -f "$(data_disk)/filler" ;;
  hostkey-change)
    rm -f /etc/ssh/ssh_host_*
    ssh-keygen -q -A
    stop_hard sshd
    sshd_start ;;
  rc-banner) rc_banner "$2" ;;
  rc-ok) rc_ok "$2" ;;
  state)      # one word each: sshd, Cassandra
    for name in sshd cassandra; do
      if ! alive "$name"; then printf 'stopped '; elif [ "$STATE" = T ]; then printf 'paused '; else printf 'running '; fi
    done
    echo ;;
  *) fail "no service or fault is called '$1'" ;;
esac
