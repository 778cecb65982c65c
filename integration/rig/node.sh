# node.sh: makes a node a host of its own: users, sudo, sshd, host keys; starts it in its namespaces.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

# Hash of the password 'lab-secret' (of the SSH user, for sudo=password), made by crypt.
LAB_SECRET='$6$fBlhTT.xe383eoCD$AXX7WgBxGdJf7.pyDOqNLmTio4OkgT5mEUUM1FX0qSQT9PtwqrSW6ncKy/w/wyAkFdY.Bxac/Ln.wuDTbLSHc.'
CASSANDRA_ID=201

# Lays out node $1 on disk: stage/ holds the files put over the root, upper/ what hides the host's own.
prepare_node() {
  load_node "$1"
  local stage=$NODE/stage
  mkdir -p "$NODE"/{upper,work,root,data} "$stage"/etc/{ssh,sudoers.d,pam.d} "$stage"/home "$stage"/root "$stage"/usr/lib/rig "$stage"/var/log/cassandra
  chmod 755 "$NODE/upper" "$stage" "$stage/etc" "$stage/home" "$stage/var/log/cassandra"
  chmod 700 "$stage/root"
  chown $CASSANDRA_ID:$CASSANDRA_ID "$stage/var/log/cassandra" "$NODE/data"
  # Debian keeps others out of /var/lib/cassandra; the RPM and a tarball do not.
  chmod "$([ "$C_LAYOUT" = deb ] && echo 750 || echo 755)" "$NODE/data"
  hide_host
  write_users "$stage"
  write_sshd "$stage"
  write_sudo "$stage"
  write_cassandra "$stage"
  cp "$RIG/service.sh" "$stage/usr/lib/rig/service"
  chmod 755 "$stage/usr/lib/rig/service"
}

# The node's root is an overlay over the host's. A whiteout (character device 0/0 in the upper folder) makes a name of the host
# vanish: all at the top but the system's folders, so nobody's home, project or key is seen from a node, and the host's own settings.
hide_host() {
  local entry name
  for entry in /* /.[!.]*; do
    name=${entry#/}
    case $name in
      bin | sbin | lib | lib32 | lib64 | libx32 | libo32 | usr | etc | var) ;;
      *) [ ! -e "$entry" ] && [ ! -L "$entry" ] || mknod "$NODE/upper/$name" c 0 0 ;;
    esac
  done
  mkdir -p "$NODE"/upper/{etc,usr/bin,usr/sbin,usr/local,usr/share,var/lib}
  for name in etc/ssh etc/sudoers.d etc/cassandra etc/environment etc/motd etc/netns usr/bin/nodetool usr/sbin/cassandra usr/share/cassandra \
    usr/local/bin usr/local/sbin var/lib/cassandra var/tmp var/log var/spool var/backups var/www; do
    mknod "$NODE/upper/$name" c 0 0
  done
  # A node without sudo has not even the program.
  [ "$C_SUDO" != none ] || mknod "$NODE/upper/usr/bin/sudo" c 0 0
  chmod 755 "$NODE"/upper/{etc,usr,usr/bin,usr/sbin,usr/local,usr/share,var,var/lib}
}

write_users() {
  local etc=$1/etc home=/home/$C_USER id=1000
  # The system's users of the host stay (sshd wants its own); its people do not.
  awk -F: -v c=$CASSANDRA_ID '$3 < 1000 && $3 != c && $1 != "cassandra" || $1 == "nobody"' /etc/passwd >"$etc/passwd"
  awk -F: -v c=$CASSANDRA_ID '($3 < 1000 || $1 == "nogroup") && $3 != c && $1 != "cassandra" { print $1 ":" $2 ":" $3 ":" }' /etc/group >"$etc/group"
  echo "cassandra:x:$CASSANDRA_ID:$CASSANDRA_ID:Cassandra database:/var/lib/cassandra:/usr/sbin/nologin" >>"$etc/passwd"
  echo "cassandra:x:$CASSANDRA_ID:$([[ ,$C_GROUPS, != *,cassandra,* ]] || echo "$C_USER")" >>"$etc/group"
  if [ "$C_USER" = root ]; then
    home=/root id=0
    awk -F: -v OFS=: -v s="$C_SHELL" '$1 == "root" { $7 = s } { print }' "$etc/passwd" >"$etc/passwd.new"
    mv "$etc/passwd.new" "$etc/passwd"
  else
    echo "$C_USER:x:1000:1000:Operator:$home:$C_SHELL" >>"$etc/passwd"
    echo "$C_USER:x:1000:" >>"$etc/group"
  fi
  awk -F: -v user="$C_USER" -v hash="$LAB_SECRET" '{ print $1 ":" ($1 == user && user != "root" ? hash : "*") ":19000:0:99999:7:::" }' "$etc/passwd" >"$etc/shadow"
  chmod 640 "$etc/shadow"
  # Not all shells are listed on the host, and PAM asks for it.
  printf '%s\n' /bin/sh /bin/bash /usr/bin/bash /bin/dash "$C_SHELL" >"$etc/shells"
  mkdir -p "$1$home/.ssh"
  cat "$DIR"/id_*.pub >"$1$home/.ssh/authorized_keys"
  cp /etc/skel/.bashrc /etc/skel/.profile "$1$home/" 2>/dev/null || true
  chmod 700 "$1$home/.ssh"
  chmod 600 "$1$home/.ssh/authorized_keys"
  chown -R "$id:$id" "$1$home"
  node_name "$N" >"$etc/hostname"
  cp "$DIR/hosts" "$etc/hosts"
  : >"$etc/environment"
}

write_sshd() {
  cat >"$1/etc/ssh/sshd_config" <<CONF
# As Debian ships it, but keys only.
Port $C_SSH_PORT
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
AcceptEnv LANG LC_*
PidFile /run/sshd.pid
Subsystem sftp internal-sftp
CONF
  cp "$NODE"/hostkeys/ssh_host_* "$1/etc/ssh/"
}

# What the account may by sudo is what ringhaul itself prints, and no more; all of it where no program is there to print it.
write_sudo() {
  local rule='' only=${C_SUDO_ONLY:-ALL}
  case $C_SUDO in
    nopasswd) rule="$C_USER ALL=(ALL:ALL) NOPASSWD: $only" ;;
    password) rule="$C_USER ALL=(ALL:ALL) $only" ;;
  esac
  if [ -n "${RINGHAUL_BIN:-}" ] && [ -n "$rule" ] && [ "$only" = ALL ]; then
    local options=(--user "$C_USER")
    [ "$C_SUDO" != password ] || options+=(--password)
    [ "$C_JMX_AUTH" = 0 ] || options+=(--nodetool)
    rule=$(cd / && env -u RINGHAUL_INVENTORY "$RINGHAUL_BIN" sudoers "${options[@]}") || die "$RINGHAUL_BIN sudoers failed"
  fi
  # No word to a mail program when somebody may not: there is none.
  printf '%s\n' 'Defaults env_reset,!mail_no_user,!mail_badpass' \
    'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"' 'root ALL=(ALL:ALL) ALL' "$rule" >"$1/etc/sudoers"
  chmod 440 "$1/etc/sudoers"
}

# Keys are made in the background; 'wait' before they are used.
make_host_keys() {
  local type at=$DIR/nodes/$1/hostkeys
  local -A bits=([rsa]=2048)      # the smaller the quicker, and nobody attacks a lab
  mkdir -p "$at"
  for type in ed25519 ecdsa rsa; do
    ssh-keygen -q -N '' -t "$type" ${bits[$type]:+-b "${bits[$type]}"} -C "root@$(node_name "$1")" -f "$at/ssh_host_${type}_key" || return
  done
}

# The lines of known_hosts for node $1, under its name and its address.
host_key_lines() {
  local key at
  load_node "$1"
  at="$C_ADDRESS,$(node_name "$1")"
  [ "$C_SSH_PORT" = 22 ] || at="[$C_ADDRESS]:$C_SSH_PORT,[$(node_name "$1")]:$C_SSH_PORT"
  for key in "$NODE"/hostkeys/ssh_host_*_key.pub; do
    printf '%s %s\n' "$at" "$(cut -d' ' -f1,2 "$key")"
  done
}

# Starts node $1. The child writes down its own pid before it becomes anything else: if 'up' dies at this very moment, 'down' still finds it.
start_node() {
  load_node "$1"
  (
    exec 9>&- 8>&-
    record_pid "$NODE/pid" "$BASHPID"
    recorded "$DIR/up" || exit 1      # 'up' was killed while this child was being made
    exec setsid nsenter --net="/run/netns/$NS.$N" \
      unshare --mount --uts --ipc --pid --fork --kill-child --propagation private \
      env -i "${NODE_ENV[@]}" bash "$RIG/rootfs.sh" "$NODE" "$(node_name "$N")" "$CACHE/jars/$C_VERSION" "$C_VERSION" "$C_LAYOUT" "$C_HOME" "$C_VAR" \
      "$C_DISK" "$JAVA17" "$JAVA_IN_NODE"
  ) </dev/null >"$NODE/console" 2>&1 &
  disown      # 'wait' is not to wait for it, and bash need not announce its end
}

# Records the node's first process, whose namespaces all others enter. Bounded: mounts take milliseconds, a busy machine some more.
wait_for_init() {
  local i child
  for ((i = 0; i < 300; i++)); do
    if recorded "$NODE/pid"; then
      child=$(ps -o pid= --ppid "$PID" | tr -d ' ') || true
      # sshd.pid is the last thing the node writes when it starts.
      if [ -n "$child" ] && [ -e "/proc/$child/root/run/rig/started" ]; then
        record_pid "$NODE/init" "$child"
        return 0
      fi
    elif [ "$i" -gt 20 ]; then
      break
    fi
    sleep 0.1
  done
  cat "$NODE/console" >&2
  die "$(node_name "$N") did not start as a host (its own words are above)"
}
