# stand-in.sh: the thousand hosts. One sshd, one look-alike of a Cassandra host, and every address of 127.0.0.0/16 is it.
# shellcheck shell=bash
#
# All of this runs inside namespaces of its own (mounts, network, processes); nothing of it is seen outside.
# Of Cassandra nothing is proven here: the figures are about fan-out alone.

# Writes below these folders go to memory, and are gone with the namespace.
OVERLAID='/etc /usr/local /usr/share /var/lib /usr/bin'

make_private() {
  local folder
  ip link set lo up
  mkdir "$WORK/memory"
  mount -t tmpfs -o size=512m,mode=755 tmpfs "$WORK/memory"
  for folder in $OVERLAID; do
    mkdir -p "$WORK/memory$folder/upper" "$WORK/memory$folder/work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$WORK/memory$folder/upper,workdir=$WORK/memory$folder/work" "$folder"
  done
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir /run/sshd
}

# N addresses: 127.0.0.1 to .250, then 127.0.1.1 …; ranges of them in $WORK/ranges.
make_addresses() {
  local block left=$HOSTS first last
  for ((block = 0; left > 0; block++)); do
    first="127.0.$block" last=$((left < 250 ? left : 250))
    printf '%s.[1-%s]\n' "$first" "$last"
    left=$((left - last))
  done >"$WORK/ranges"
  awk -F'[].[-]+' '{ for (i = $4; i <= $5; i++) print $1 "." $2 "." $3 "." i }' "$WORK/ranges" >"$WORK/addresses"
}

make_host() {
  make_addresses
  # Its login shell is dash: no rc file is read, so none is measured.
  printf 'ops:x:4242:4242::/home/ops:/bin/dash\n' >>/etc/passwd
  printf 'ops:x:4242:\ncassandra:x:4243:\n' >>/etc/group
  printf 'ops:*:19000:0:99999:7:::\n' >>/etc/shadow
  mount -t tmpfs -o mode=755 tmpfs /home
  mkdir -m 755 /home/ops
  chown 4242:4242 /home/ops
  make_cassandra
  make_nodetool
  make_sshd
}

# What a node shows of its Cassandra: a process, a class path, cassandra.yaml, data.
make_cassandra() {
  local lib=/usr/share/cassandra n t set part folder jars='' uptime
  mkdir -p /etc/cassandra $lib/lib /var/lib/cassandra/data
  # Debian's package has some ninety jars on the class path.
  for ((n = 1; n <= 90; n++)); do
    : >$lib/lib/some-library-$n.0.jar
    jars+=:$lib/lib/some-library-$n.0.jar
  done
  : >$lib/apache-cassandra-5.0.5.jar
  make_yaml >/etc/cassandra/cassandra.yaml
  # A shell called java waits at a pipe until the end of the namespace, with the arguments of a Cassandra.
  ln -s /bin/dash /usr/local/bin/java
  mkfifo "$WORK/memory/forever"
  # shellcheck disable=SC2016
  /usr/local/bin/java -c 'read -r end <"$0"' "$WORK/memory/forever" -Xms4G -Xmx4G -ea -XX:+UseG1GC \
    -Dcassandra.jmx.local.port=7199 -Dcassandra.storagedir=/var/lib/cassandra -Dcassandra.logdir=/var/log/cassandra \
    -cp "/etc/cassandra$jars:$lib/apache-cassandra-5.0.5.jar" org.apache.cassandra.service.CassandraDaemon &
  # A Cassandra younger than three minutes is asked one nodetool more. This one says it was started a day ago.
  read -r uptime _ </proc/uptime
  printf '%s 1.00\n' "$((${uptime%.*} + 86400)).00" >"$WORK/memory/uptime"
  mount --bind "$WORK/memory/uptime" /proc/uptime
  # Eight tables of two sets; four of them have two sets in backups.
  for t in 1 2 3 4 5 6 7 8; do
    folder=$(printf '/var/lib/cassandra/data/shop%s/t%s-%032d' $((t % 2)) "$t" "$t")
    mkdir -p "$folder/backups"
    for set in 1 2; do
      for part in CompressionInfo.db Data.db Digest.crc32 Filter.db Index.db Statistics.db Summary.db TOC.txt; do
        printf '%s\n' CompressionInfo.db Data.db Digest.crc32 Filter.db Index.db Statistics.db Summary.db TOC.txt >"$folder/nb-$set-big-$part"
        [ "$t" -gt 4 ] || ln "$folder/nb-$set-big-$part" "$folder/backups/"
      done
    done
  done
}

# Stock files have 2,000 lines, nearly all of them comments.
make_yaml() {
  local n
  printf "cluster_name: 'bench'\nnum_tokens: 16\nincremental_backups: true\nauto_snapshot: true\nsnapshot_before_compaction: false\n"
  printf 'data_file_directories:\n    - /var/lib/cassandra/data\ncommitlog_directory: /var/lib/cassandra/commitlog\n'
  printf 'listen_address: localhost\nendpoint_snitch: GossipingPropertyFileSnitch\nseed_provider:\n'
  printf '    - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n      parameters:\n          - seeds: "127.0.0.1:7000"\n'
  for ((n = 1; n <= YAML_LINES; n++)); do
    if [ $((n % 20)) = 0 ]; then
      printf 'some_setting_%s: %sms\n' "$n" "$n"
    else
      printf '# What the setting below does, and when to change it, told at length.\n'
    fi
  done
}

# It answers at once, by the address that was called; a real one takes a second of JVM.
make_nodetool() {
  local address n=0
  {
    printf 'Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving\n'
    printf -- '--  Address      Load        Tokens  Owns  Host ID                               Rack\n'
    while read -r address; do
      printf 'UN  %-11s  189.07 KiB  16      ?     %08x-f22d-4a4d-b8e4-14f1e081af37  r%s\n' "$address" $((n += 1)) $((n % 3 + 1))
    done <"$WORK/addresses"
    printf '\nNote: Non-system keyspaces don'\''t have the same replication settings, effective ownership information is meaningless\n'
  } >/usr/share/cassandra/status
  cat >/usr/bin/nodetool <<'NODETOOL'
#!/bin/sh
case $1 in
  statusbackup)
    address=${SSH_CONNECTION% *}
    if [ $((${address##*.} % 7)) = 0 ]; then echo 'not running'; else echo running; fi ;;
  status) exec cat /usr/share/cassandra/status ;;
  version) echo 'ReleaseVersion: 5.0.5' ;;
  netstats) echo 'Mode: NORMAL' ;;
  ring | describecluster) exec cat "/usr/share/cassandra/$1" ;;
  *) exit 1 ;;
esac
NODETOOL
  chmod 755 /usr/bin/nodetool
}

make_sshd() {
  local i
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$WORK/host_key"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$WORK/key"
  install -m 644 "$WORK/key.pub" /etc/ssh/bench_authorized
  awk -v key="$(cut -d' ' -f1,2 "$WORK/host_key.pub")" '{ print $1, key }' "$WORK/addresses" >"$WORK/known_hosts"
  cat >"$WORK/sshd_config" <<CONFIG
Port 22
ListenAddress 0.0.0.0
HostKey $WORK/host_key
PidFile none
AuthorizedKeysFile /etc/ssh/bench_authorized
AllowUsers ops
AuthenticationMethods publickey
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
# sshd's default turns connections away from the tenth on.
MaxStartups 4096
LogLevel ERROR
CONFIG
  # The environment of a service, not that of whoever measures.
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /usr/bin/python3 "$PARTS/reaper.py" /usr/sbin/sshd -D -e -f "$WORK/sshd_config" 2>"$WORK/sshd.log" &
  SSHD=$!
  for ((i = 0; i < 100; i++)); do
    if (: </dev/tcp/127.0.0.1/22) 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  die "sshd does not start: $(tail -n 3 "$WORK/sshd.log")"
}
