# cassandra.sh: writes the files of a node's Cassandra: cassandra.yaml, the JVM's options, its launcher and nodetool.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

# Everything goes to the folder $1, which is laid over the node's root when it starts. Needs load_node before.
write_cassandra() {
  local root=$1 conf=$1$C_CONF
  if [ "$C_LAYOUT" = rpm ]; then
    mkdir -p "$root/etc/cassandra/default.conf"
    ln -s default.conf "$root/etc/cassandra/conf"
  fi
  mkdir -p "$conf" "$root$C_HOME" "$root$C_BIN" "$root/usr/sbin" "$root/usr/local/bin"
  write_yaml >"$conf/cassandra.yaml"
  printf '# Where this node stands; read by GossipingPropertyFileSnitch.\ndc=%s\nrack=%s\n' "$C_DC" "$C_RACK" >"$conf/cassandra-rackdc.properties"
  write_jvm_options "$conf"
  write_logback "$conf"
  write_launchers "$root"
}

write_yaml() {
  local seeds='' n i line text
  # Every node is a seed: a fresh ring whose nodes start at one time has nobody who could be waited for.
  # shellcheck disable=SC1091
  for n in $(node_numbers); do seeds+=$(. "$DIR/nodes/$n/conf"; printf '%s,' "$C_ADDRESS"); done
  text=$(cat <<YAML
# Cassandra storage config YAML

# NOTE:
#   See the project's documentation for full explanations of
#   configuration directives
# /NOTE

# The name of the cluster. This is mainly used to prevent machines in
# one logical cluster from joining another.
cluster_name: '$LAB'

# This defines the number of tokens randomly assigned to this node on the ring
num_tokens: 4

# Ring of a laboratory: all nodes start together, so none of them may wait
# for data of the others.
auto_bootstrap: false

hinted_handoff_enabled: true

# Authentication backend, implementing IAuthenticator; used to identify users
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
partitioner: org.apache.cassandra.dht.Murmur3Partitioner

YAML
    echo
    if [ "$C_LAYOUT" != tarball ] || [ "$C_DATA_DIRS" -gt 1 ]; then
      echo '# Directories where Cassandra should store data on disk. If multiple'
      echo '# directories are specified, Cassandra will spread data evenly across'
      echo '# them by partitioning the token ranges.'
      echo 'data_file_directories:'
      echo "    - $C_VAR/data"
      for ((i = 2; i <= C_DATA_DIRS; i++)); do echo "    - $C_VAR/data$i"; done
      echo
    else
      echo '# If not set, the default directory is $CASSANDRA_HOME/data/data.'
      echo '# data_file_directories:'
      echo '#     - /var/lib/cassandra/data'
      echo
    fi
    if [ "$C_LAYOUT" != tarball ]; then
      echo '# commit log.  when running on magnetic HDD, this should be a'
      echo '# separate spindle than the data directories.'
      echo "commitlog_directory: $C_VAR/commitlog"
      echo "hints_directory: $C_VAR/hints"
      echo "saved_caches_directory: $C_VAR/saved_caches"
      echo
    fi
    cat <<YAML
# Policy for data disk failures: die, stop_paranoid, stop, best_effort, ignore
disk_failure_policy: stop

# Policy for commit disk failures: die, stop, stop_commit, ignore
commit_failure_policy: stop

commitlog_sync: periodic
YAML
    # The names of sizes and times changed in 4.1; small commit logs let a small disk hold a node.
    case $C_VERSION in
      4.0.*) printf '%s\n' 'commitlog_sync_period_in_ms: 10000' 'commitlog_segment_size_in_mb: 4' 'commitlog_total_space_in_mb: 64' \
        'file_cache_size_in_mb: 32' ;;
      *) printf '%s\n' 'commitlog_sync_period: 10000ms' 'commitlog_segment_size: 4MiB' 'commitlog_total_space: 64MiB' \
        'file_cache_size: 32MiB' ;;
    esac
    cat <<YAML

# any class that implements the SeedProvider interface and has a
# constructor that takes a Map<String, String> of parameters will do.
seed_provider:
  # Addresses of hosts that are deemed contact points.
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      # seeds is actually a comma-delimited list of addresses.
      # Ex: "<ip1>,<ip2>,<ip3>"
      - seeds: "${seeds%,}"

storage_port: 7000
listen_address: $C_ADDRESS
start_native_transport: true
native_transport_port: 9042
rpc_address: $C_ADDRESS

# Set to true to have Cassandra create a hard link to each sstable
# flushed or streamed locally in a backups/ subdirectory of the
# keyspace data.  Removing these links is the operator's
# responsibility.
incremental_backups: $([ "$C_INCREMENTAL" = 1 ] && echo true || echo false)

# Whether or not to take a snapshot before each compaction.
snapshot_before_compaction: false

# Whether or not a snapshot is taken of the data before keyspace truncation
# or dropping of column families. The STRONGLY advised default of true
# should be used to provide data safety. If you set this flag to false, you will
# lose data on truncation or drop.
auto_snapshot: $C_AUTO_SNAPSHOT

endpoint_snitch: GossipingPropertyFileSnitch
YAML
    [ "$C_UUID" = 0 ] || printf '\n# Use UUIDs as identifiers of newly written sstables.\nuuid_sstable_identifiers_enabled: true\n'
    # 'oa' sets are unknown to 4.x, so 5.0 writes them only when it need not be compatible.
    [ "$C_OA" = 0 ] || printf '\nstorage_compatibility_mode: NONE\n'
    case $C_VERSION in 5.*) [ -z "$C_FORMAT" ] || printf '\nsstable:\n  selected_format: %s\n' "$C_FORMAT" ;; esac
  )
  # A line of --yaml takes the place of the same key, with what is indented under it.
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    text=$(awk -v key="${line%%:*}:" 'index($0, key) == 1 { drop = 1; next } drop && /^[ ]/ { next } { drop = 0; print }' <<<"$text")
    text+=$'\n'$line
  done <"$DIR/yaml"
  printf '%s\n' "$text"
}

write_jvm_options() {
  local p opens exports
  # What Cassandra 5.0 ships for Java 17 …
  exports='java.base/jdk.internal.misc java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
    java.sql/java.sql java.base/java.lang.ref jdk.unsupported/sun.misc jdk.compiler/com.sun.tools.javac.file jdk.attach/sun.tools.attach
    java.management/com.sun.jmx.remote.security' # the last one for JMX with a password
  opens='java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect
    java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal
    java.base/sun.nio.ch java.base/java.io java.base/java.lang.reflect jdk.compiler/com.sun.tools.javac java.base/java.lang java.base/java.util'
  # … and what 4.0 and 4.1, made for Java 8 and 11, need besides to run on 17.
  for p in java.util.concurrent{,.atomic,.locks} java.util.{regex,zip,stream,function} java.nio{,.file,.channels} java.net java.time java.security \
    java.text java.math java.lang.invoke sun.nio.fs sun.security.action jdk.internal.{misc,perf}; do opens+=" java.base/$p"; done
  for p in javax.management java.lang.management sun.management; do opens+=" java.management/$p"; done
  {
    echo '# Options of the JVM for Java 17: modules that Cassandra looks into'
    echo '-Djdk.attach.allowAttachSelf=true'
    for p in $exports; do echo "--add-exports $p=ALL-UNNAMED"; done
    for p in $opens; do echo "--add-opens $p=ALL-UNNAMED"; done
  } >"$1/jvm17-clients.options"
  {
    cat "$1/jvm17-clients.options"
    echo '-Djava.security.manager=allow'
    echo '-Dio.netty.tryReflectionSetAccessible=true'
    echo '# Small, and quick to start: one collector thread, no optimizing compiler'
    printf '%s\n' -Xms192m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xss512k
    echo '# A fresh ring has nobody to wait for'
    printf '%s\n' -Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0
    [ "$IPV6" = 1 ] || echo '-Djava.net.preferIPv4Stack=true'
  } >"$1/jvm17-server.options"
  {
    echo '# Sourced by the launcher of Cassandra and by nodetool.'
    echo "JMX_PORT=\"$C_JMX_PORT\""
    echo 'JVM_OPTS="$JVM_OPTS -Dcassandra.jmx.local.port=$JMX_PORT"'
    if [ "$C_JMX_AUTH" = 1 ]; then
      echo 'JVM_OPTS="$JVM_OPTS -Dcom.sun.management.jmxremote.authenticate=true"'
      echo 'JVM_OPTS="$JVM_OPTS -Dcom.sun.management.jmxremote.password.file=/etc/cassandra/jmxremote.password"'
      echo 'JVM_OPTS="$JVM_OPTS -Dcom.sun.management.jmxremote.access.file=/etc/cassandra/jmxremote.access"'
    fi
  } >"$1/cassandra-env.sh"
  [ "$C_JMX_AUTH" = 0 ] || write_jmx_users "${1%"$C_CONF"}/etc/cassandra"
}

# The JVM refuses a password file that others can read; the client's file is for the SSH user's group (see node.sh).
write_jmx_users() {
  mkdir -p "$1"
  echo 'ringhaul lab-secret' >"$1/jmxremote.password"
  echo 'ringhaul readwrite create javax.management.monitor.*,javax.management.timer.* unregister' >"$1/jmxremote.access"
  echo 'ringhaul lab-secret' >"$1/jmxremote.client"
  chmod 400 "$1/jmxremote.password"
  chmod 640 "$1/jmxremote.client"
  chown 201:201 "$1/jmxremote.password"
  chown "0:$([ "$C_USER" = root ] && echo 0 || echo 1000)" "$1/jmxremote.client"
}

write_logback() {
  cat >"$1/logback.xml" <<'XML'
<configuration>
  <appender name="FILE" class="ch.qos.logback.core.FileAppender">
    <file>/var/log/cassandra/system.log</file>
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="FILE"/></root>
</configuration>
XML
  cat >"$1/logback-tools.xml" <<'XML'
<configuration>
  <appender name="STDERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%-5level %date{HH:mm:ss,SSS} %msg%n</pattern></encoder>
    <filter class="ch.qos.logback.classic.filter.ThresholdFilter"><level>WARN</level></filter>
  </appender>
  <root level="WARN"><appender-ref ref="STDERR"/></root>
</configuration>
XML
}

write_launchers() {
  local root=$1 launcher=/usr/sbin/cassandra config_option=''
  [ "$C_LAYOUT" != tarball ] || { launcher=$C_BIN/cassandra; config_option="-Dcassandra.config=file://$C_CONF/cassandra.yaml"; }
  # As the packages write it: the folder of cassandra.yaml first on the class path, which is how Cassandra finds it, then each jar.
  cat >"$root$C_HOME/cassandra.in.sh" <<SH
CASSANDRA_CONF=$C_CONF
CASSANDRA_HOME=$C_HOME
CLASSPATH=\$CASSANDRA_CONF
for jar in \$CASSANDRA_HOME/lib/*.jar \$CASSANDRA_HOME/*.jar; do
    [ ! -e "\$jar" ] || CLASSPATH=\$CLASSPATH:\$jar
done
cassandra_storagedir=$C_VAR
JAVA_AGENT="-javaagent:\$(ls \$CASSANDRA_HOME/lib/jamm-*.jar)"
JAVA=\${JAVA_HOME:-$JAVA_IN_NODE}/bin/java
SH
  [ "$C_LAYOUT" != tarball ] || ln -s ../cassandra.in.sh "$root$C_BIN/cassandra.in.sh"
  cat >"$root$launcher" <<SH
#!/bin/sh
# Starts Cassandra in the foreground.
. $C_HOME/cassandra.in.sh
JVM_OPTS=\$(grep '^-' "\$CASSANDRA_CONF/jvm17-server.options" | tr '\n' ' ')
. "\$CASSANDRA_CONF/cassandra-env.sh"
cd /
exec "\$JAVA" \$JAVA_AGENT \$JVM_OPTS \\
    -Dlogback.configurationFile=logback.xml -Dcassandra.logdir=/var/log/cassandra \\
    -Dcassandra.storagedir="\$cassandra_storagedir" $config_option -Dcassandra-pidfile=/run/cassandra/cassandra.pid \\
    -cp "\$CLASSPATH" org.apache.cassandra.service.CassandraDaemon
SH
  # The words of the arguments are split once more by the shell, as in the packages' script.
  cat >"$root$C_BIN/nodetool" <<SH
#!/bin/sh
. $C_HOME/cassandra.in.sh
. "\$CASSANDRA_CONF/cassandra-env.sh"
JVM_OPTS=\$(grep '^-' "\$CASSANDRA_CONF/jvm17-clients.options" | tr '\n' ' ')
ARGS=""
JVM_ARGS=""
while true
do
  if [ ! "\$1" ]; then break; fi
  case \$1 in
    -p|--port) JMX_PORT=\$2; shift ;;
    --port=*) JMX_PORT=\$(echo \$1 | cut -d '=' -f 2) ;;
    -D*) JVM_ARGS="\$JVM_ARGS \$1" ;;
    *) ARGS="\$ARGS \$1" ;;
  esac
  shift
done
"\$JAVA" -cp "\$CLASSPATH" \$JVM_OPTS -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \\
    -Dcassandra.storagedir="\$cassandra_storagedir" -Dcassandra.logdir=/var/log/cassandra \\
    -Dlogback.configurationFile=logback-tools.xml \$JVM_ARGS \\
    org.apache.cassandra.tools.NodeTool -p "\${JMX_PORT:-7199}" \$ARGS
SH
  chmod 755 "$root$launcher" "$root$C_BIN/nodetool"
  if [ "$C_LAYOUT" = tarball ] && [ "$C_PATH" != hidden ]; then ln -s "$C_BIN/nodetool" "$root/usr/local/bin/nodetool"; fi
  # Faults replace nodetool; this is the way back.
  mkdir -p "$root/usr/lib/rig"
  cp "$root$C_BIN/nodetool" "$root/usr/lib/rig/nodetool"
  printf '%s\n' "$launcher" >"$root/usr/lib/rig/launcher"
  printf '%s\n' "$C_VAR" >"$root/usr/lib/rig/var"
  printf '%s\n' "$C_BIN/nodetool" >"$root/usr/lib/rig/nodetool.path"
}
