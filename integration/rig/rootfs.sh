# rootfs.sh: first process of a node: builds its root of mounts, moves into it and stays there as its init.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015
# It runs in mount, pid, uts and ipc namespaces of its own: when it ends, the kernel ends all of the node and drops all its mounts.
set -euo pipefail

NODE=$1 NAME=$2 JARS=$3 VERSION=$4 LAYOUT=$5 HOME_DIR=$6 VAR=$7 DISK=$8 JAVA=$9 JAVA_IN_NODE=${10}
ROOT=$NODE/root

hostname "$NAME" 2>/dev/null || printf '%s' "$NAME" >/proc/sys/kernel/hostname

# The host's files below, the node's own changes above. (Mounts of the host below / are not seen through it.)
mount -t overlay -o "lowerdir=/,upperdir=$NODE/upper,workdir=$NODE/work" overlay "$ROOT"
cp -a "$NODE/stage/." "$ROOT/"
mkdir -p "$ROOT"/{proc,sys,dev,tmp,run,root,home,opt,srv,mnt,media,old-root} "$ROOT"/usr/local/{bin,sbin} "$ROOT"/var/{tmp,log,spool,lib} "$ROOT$VAR"
chmod 1777 "$ROOT/var/tmp"

mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
while read -r name major minor; do mknod -m 666 "$ROOT/dev/$name" c "$major" "$minor"; done <<LIST
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
LIST
mkdir "$ROOT/dev/pts" "$ROOT/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$ROOT/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
ln -s pts/ptmx "$ROOT/dev/ptmx"
ln -s /proc/self/fd "$ROOT/dev/fd"
for i in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${i%%:*}" "$ROOT/dev/${i#*:}"; done

# Read-only: the jars belong to all labs.
bind_ro() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}
mkdir -p "$ROOT$HOME_DIR/lib"
if [ "$LAYOUT" = tarball ]; then
  bind_ro "$JARS/lib" "$ROOT$HOME_DIR/lib"
else
  bind_ro "$JARS/deps" "$ROOT$HOME_DIR/lib"
  : >"$ROOT$HOME_DIR/apache-cassandra-$VERSION.jar"
  bind_ro "$JARS/apache-cassandra-$VERSION.jar" "$ROOT$HOME_DIR/apache-cassandra-$VERSION.jar"
fi
if [ "$JAVA" != "$JAVA_IN_NODE" ]; then
  mkdir -p "$ROOT$JAVA_IN_NODE"
  bind_ro "$JAVA" "$ROOT$JAVA_IN_NODE"
fi
# Data lie on a real file system (links, inodes and times as in production), or on a small one that can be filled.
if [ "$DISK" = 0 ]; then
  mount --bind "$NODE/data" "$ROOT$VAR"
else
  mount -t tmpfs -o "size=${DISK}m,mode=$(stat -c %a "$NODE/data"),uid=201,gid=201" tmpfs "$ROOT$VAR"
fi

cd "$ROOT"
pivot_root . old-root
# After this nothing of the host but what was mounted above can be reached from the node.
exec chroot . /bin/bash -c 'cd / && umount -l /old-root && rmdir /old-root && exec /usr/lib/rig/service init' </dev/null
