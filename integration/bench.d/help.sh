# help.sh: the texts of 'bench help' and of --help of each command.
# shellcheck shell=bash

help() {
  case ${1:-} in
    fanout) cat <<TEXT
usage: $BENCH fanout [options]

A whole 'ringhaul audit --json' of N hosts against 'nodetool statusbackup' by clush, pssh and xargs ssh:
wall clock, CPU of the controller with all its children, peak memory of its whole process tree.
All run in turn, several rounds; the least of each is quoted. Each answer of each host is checked:
a run with one missing or wrong is marked and not counted.

The hosts are 127.0.0.1 to 127.0.0.250, 127.0.1.1 …, all of them one sshd in namespaces of its own, out of which
nothing can go, with a stand-in nodetool that answers at once, a process that looks like a Cassandra, a cassandra.yaml
of stock size and a few backup sets. The controller may open 1024 files, as a login may. The login shell is dash, which reads no rc file. So this is about fan-out alone.
It all ends with the program, also by Ctrl-C.

  --hosts N              how many hosts (1000)
  --in-flight N          how many at once, for all competitors (64)
  --runs N               rounds (3)
  --peers LIST           of clush,pssh,loop (all), or none
  --kex LIST             of default,curve25519 (both): what the peers' ssh offers for the key exchange.
                         ringhaul takes curve25519 by itself, so its two rows are the same thing
  --behind-jump          every second host behind one jump host, an sshd with the default MaxStartups and MaxSessions. ringhaul by
                         proxy_jump; the peers by ProxyJump, with one shared connection to it (ControlMaster) and without
  --sequential           also the plain loop 'for n in …; ssh n nodetool statusbackup' over 50 hosts, scaled up
  --ringhaul FILE        the binary (\$CARGO_TARGET_DIR/release/ringhaul, else target/release/ringhaul)
  --yaml-lines N         lines of the hosts' cassandra.yaml (2000, as in stock files)
  --limit S              seconds that one run may take (600)
  --markdown             the table for README.md
  --results FILE         keep every single run there, one line of JSON each

Environment: BENCH_EXTRA='commands' runs these among the hosts, as root, in place of the rounds (\$WORK/inventory.yaml, \$WORK/key).

examples:
  $BENCH fanout
  $BENCH fanout --hosts 200 --runs 1 --peers clush --kex curve25519
  $BENCH fanout --behind-jump --runs 1
  $BENCH fanout --markdown >fanout.md
  BENCH_EXTRA='ssh -i \$WORK/key -o UserKnownHostsFile=\$WORK/known_hosts ops@127.0.3.7 nodetool statusbackup' $BENCH fanout
TEXT
      ;;
    ring) cat <<TEXT
usage: $BENCH ring [options]

A whole 'ringhaul audit --json' of three real Cassandra nodes (a lab of integration/ring, taken away afterwards) against
'nodetool statusbackup' by clush, pssh, xargs ssh and the seed's loop, one node after the other.
It waits until the nodes are older than three minutes: of younger ones ringhaul asks one nodetool more.

  --runs N               rounds (5)
  --version V            Cassandra's version (5.0.5)
  --peers LIST           of clush,pssh,loop (all), or none
  --ringhaul FILE, --limit S, --markdown, --results FILE    as for fanout

examples:
  $BENCH ring
  $BENCH ring --runs 3 --peers clush
TEXT
      ;;
    ship) cat <<TEXT
usage: $BENCH ship [options]

'ringhaul ship' of one node's backups into a folder, against 'ssh node tar | tar -x', 'rsync -a' and a bare 'find' over ssh:
a first copy, then nothing new, then one part in a hundred new. Of two trees: few big sets, and 2,500 small ones (20,000 files, 14 MB).
Wall clock, CPU of the controller and of the node (sshd and all its children) apart, peak memory of the controller's process tree;
then the aims, each met or missed. All in turn, several rounds; the least of each is quoted, of memory the most.
Each copy is compared with the data: one that is not whole is marked and not counted.

The node is a loopback sshd in namespaces of its own, out of which nothing can go, with a stand-in nodetool that answers at once:
a real one adds a second or so to each run of ringhaul, and to none of the others. All take aes128-gcm and curve25519.
ringhaul also checks each set, hashes each file and waits until all is on the disk; 'tar, then sync' waits for the disk too.
It needs free space in /var/tmp: twice --size and 2 GiB. It all ends with the program, also by Ctrl-C.

  --rounds N             rounds (3)
  --size MIB             how large the big sets are together (2048)
  --trees LIST           of big,small (both), or none
  --medusa               then also 400 sets of a real Cassandra (a lab of integration/ring, taken away afterwards), and cassandra-medusa
                         there, on the node itself and with a local store: it copies over no network. From PyPI; some minutes more
  --peers LIST           of rsync,sync (both), or none; tar and the listing always take part
  --ringhaul FILE        the binary (\$CARGO_TARGET_DIR/release/ringhaul, else target/release/ringhaul)
  --limit S              seconds that one run may take (600)
  --markdown, --json     the result in that form
  --results FILE         keep every single run there, one line of JSON each

Environment: BENCH_EXTRA='commands' runs these on that host, as root, in place of the rounds, with the first of --trees laid out.
\$SHIP, \$TAR, \$RSYNC and \$FIND are what is measured; the copies lie in \$COPIES.

examples:
  cargo build --release && $BENCH ship
  $BENCH ship --rounds 1 --size 256
  $BENCH ship --trees small --json >ship.json
  BENCH_EXTRA='eval "\$SHIP"; find \$COPIES/store' $BENCH ship --trees small
TEXT
      ;;
    '' | help | --help | -h) cat <<TEXT
usage: $BENCH COMMAND [options]

Measures ringhaul against what people use today, in one and the same run. Needs root; installs the others if they are missing.

  fanout    a thousand loopback hosts: wall, CPU and memory of the controller
  ring      three real Cassandra nodes
  ship      one loopback host's backups: wall, CPU of both sides and memory
  help      help COMMAND, or COMMAND --help: all about one

examples:
  cargo build --release
  $BENCH fanout
  $BENCH ring
  $BENCH ship

Exit code: 0 done, 1 it failed, 2 wrong use.
TEXT
      ;;
    *) usage "there is no command '$1': see '$BENCH help'" ;;
  esac
}
