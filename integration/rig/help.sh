# help.sh: the texts of 'ring help' and of --help of each command.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

help() {
  case ${1:-} in
    up) cat <<TEXT
usage: $RING up [options]

Brings up a lab: a ring of real Cassandra nodes, each a host of its own with sshd, users and sudo, in network
namespaces out of which nothing can go. Waits until each node sees all of them UN, and CQL is answered.
Several labs live side by side under different names. A lab stays until 'down'.

  --lab NAME               name of the lab (main, or \$RINGHAUL_LAB)
  --nodes N                how many nodes (3): cass-01 is $NET4.11, cass-02 is $NET4.12 …
  --version V[,V2…]        Cassandra version (5.0.5); 5.0, 4.1 and 4.0 mean the tested one of that line.
                           A list is for the nodes in turn, the last one for the rest
  --topology LIST          data centre and rack of the nodes in turn, over again ('dc1/r1,dc1/r2,dc1/r3')
  --layout deb|rpm|tarball where things lie (deb)
  --incremental            incremental_backups: true from the start
  --auto-snapshot false    no snapshots by DROP and TRUNCATE
  --format big|bti         SSTable format (5.0); bti sets are called da-…; bti brings --oa with it
  --oa                     5.0 without compatibility to 4.x: big sets are called oa-… instead of nb-….
                           Give it to all nodes or to none: with and without do not share CQL schemas
  --uuid                   text as SSTable generation (4.1 and newer)
  --data-dirs N            number of data directories (1)
  --disk MB                data on a small disk (100 or more) of its own, which the fault disk-full can fill
  --user NAME              the SSH user (ops), its groups only its own
  --sudo HOW               nopasswd (default), password (it is 'lab-secret'), denied (not in sudoers),
                           none (sudo is not installed), root (the SSH user is root). With \$RINGHAUL_BIN, the program,
                           nopasswd and password are what its \`ringhaul sudoers\` prints, else sudo for all
  --ssh-port P, --jmx-port P
  --ipv6                   nodes have IPv6 addresses only (${NET6}11 …)
  --yaml 'key: value'      a line for cassandra.yaml of all nodes, in the place of the same key (repeatable)
  --node-opt N:KEY=VALUE   a setting of node N alone (repeatable); KEY is one of version, format, uuid, oa,
                           data-dirs, disk, user, sudo, ssh-port, jmx-port, layout, incremental, auto-snapshot
                           (switches: 1 or 0), and further
                             shell=/usr/bin/fish   login shell of the SSH user (if installed on this host)
                             path=hidden           nodetool only in the tarball's bin, not in the PATH
                             jmx-auth=1            JMX wants a password; clients find user and password in
                                                   /etc/cassandra/jmxremote.client (nodetool -u ringhaul -pwf …)
                             groups=cassandra      the SSH user is in that group
                             sudo-only=/bin/cat,…  sudo for these programs only
  --no-wait                do not wait for Cassandra, only for the hosts
  --timeout S              seconds to wait for the ring (180 + 60 for each node)

The folder \${RINGHAUL_LABS:-/var/tmp/ringhaul-labs}/NAME then holds inventory.yaml (for ringhaul), ssh_config, known_hosts,
the client's keys id_ed25519, id_ecdsa, id_rsa, and env, which names them all for a shell.

examples:
  $RING up
  $RING up --lab mixed --version 5.0,4.1,4.0 --nodes 3
  $RING up --lab two --nodes 4 --topology 'east/rack one,east/r.2,west/rack one,west/r.2'
  $RING up --lab odd --node-opt 2:sudo=none --node-opt 3:sudo=password --node-opt 3:ssh-port=2222 --disk 200
TEXT
      ;;
    down) cat <<TEXT
usage: $RING down [--lab NAME | --all]

Takes a lab away: its processes, namespaces, mounts and its folder, also when it hangs, is half built or was left by a crash.
The nodes need not help. It may be called twice. --all means every lab in ${LABS}.
TEXT
      ;;
    list) cat <<TEXT
usage: $RING list

Shows the labs of $LABS and the state of their nodes: sshd, Cassandra (running, paused, stopped), link.
TEXT
      ;;
    run) cat <<TEXT
usage: $RING run [--lab NAME] [--] COMMAND…

Runs a command of this host in the lab's network, as its controller ($NET4.1), with the nodes' names in /etc/hosts.
Environment and exit code are passed through; SSH_CONFIG, INVENTORY, KEY, KNOWN_HOSTS and NODES are set besides.

examples:
  $RING run -- sh -c 'ssh -F "\$SSH_CONFIG" cass-01 nodetool statusbackup'
  $RING run -- target/debug/ringhaul --help
TEXT
      ;;
    shell) cat <<TEXT
usage: $RING shell [--lab NAME] [NODE]

A shell on the lab's controller (RINGHAUL_INVENTORY and SSH_CONFIG set, ringhaul of target/ in the PATH),
or, with a node, as root on that node.

examples:
  $RING shell
  $RING shell --lab mixed cass-02
TEXT
      ;;
    exec) cat <<TEXT
usage: $RING exec [--lab NAME] NODE -- COMMAND…

Runs a command as root on a node (not by ssh). NODE is 1, cass-01 or its address. The exit code is passed through.

examples:
  $RING exec 1 -- find /var/lib/cassandra/data -path '*/backups/*'
  $RING exec cass-02 -- tail /var/log/cassandra/system.log
TEXT
      ;;
    nodetool) cat <<TEXT
usage: $RING nodetool [--lab NAME] NODE ARGUMENTS…

Runs nodetool as root on a node; always the real one, also while a fault stands in its place.

example:
  $RING nodetool 2 enablebackup
TEXT
      ;;
    cql) cat <<TEXT
usage: $RING cql [--lab NAME] NODE ['STATEMENTS;']

Runs cqlsh against a node, from the controller; without statements it reads them from stdin.

examples:
  $RING cql 1 'SELECT * FROM system_schema.keyspaces;'
  $RING cql 1 <schema.cql
TEXT
      ;;
    seed) cat <<TEXT
usage: $RING seed [--lab NAME]

Writes sample data that make an audit worth its name: keyspace shop with orders and a secondary index (and an SAI index where all nodes
are 5.0), a keyspace called 'backups' with a table called 'snapshots', a dropped and a truncated table, and a snapshot 'before-upgrade'.
TEXT
      ;;
    fault) cat <<TEXT
usage: $RING fault [--lab NAME] NODE FAULT
       $RING fault --list

Breaks one thing of a node, or mends it:

$FAULTS

examples:
  $RING fault 2 sshd-stop
  $RING fault --lab mixed cass-03 pause
TEXT
      ;;
    install) cat <<TEXT
usage: $RING install [VERSION…]

Installs what the rig needs: Debian packages that are missing, the jars of the versions (5.0), cqlsh. 'up' and 'cql' do the same
when they find something missing; this is for doing it beforehand. Jars and cqlsh go to ${CACHE}.
The SSH servers and login shells of Debian's releases ($SERVER_SUITES) go to ${CACHE}/servers, for the
tests of the SSH door; a release that apt's mirror does not have is told and left out.
The cassandra.yaml of releases goes to ${CACHE}/stock; a story changes every VERSION.yaml it finds there, yours too.
TEXT
      ;;
    '' | help | --help | -h) cat <<TEXT
usage: $RING COMMAND [--lab NAME] …

A laboratory of real Cassandra rings for trying and testing ringhaul. Needs root; installs what it lacks.

  up         bring up a lab                      down       take it away
  shell      a shell on its controller           list       labs and nodes, and how they are
  run        run a command on its controller     exec       run a command on a node, as root
  cql        CQL statements                      nodetool   nodetool on a node
  seed       write sample data                   fault      break something, mend it
  install    fetch programs and jars beforehand  help       help COMMAND, or COMMAND --help: all about one

A first walk:
  $RING up --nodes 3 --version 5.0.5
  $RING seed
  $RING shell
  $RING fault 2 sshd-stop
  $RING down

Environment: RINGHAUL_CACHE ($CACHE), RINGHAUL_LABS ($LABS),
RINGHAUL_LAB (name of the lab when --lab is not given), JAVA_HOME (should name a Java 17).
Exit code: 0 done, 1 it failed, 2 wrong use; run, exec, nodetool and cql give that of their command.
TEXT
      ;;
    *) usage "there is no command '$1': see '$RING help'" ;;
  esac
}
