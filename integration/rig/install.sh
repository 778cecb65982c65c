# install.sh: finds the programs and jars the rig needs, and installs what is missing (Debian packages, Maven, PyPI).
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

# Program and the Debian package that holds it. Looking is done by the shell alone, so that it takes no time when all is there.
TOOLS='ssh:openssh-client ssh-keygen:openssh-client /usr/sbin/sshd:openssh-server sudo:sudo ip:iproute2 nft:nftables ps:procps
  nsenter:util-linux unshare:util-linux setpriv:util-linux flock:util-linux pivot_root:util-linux mount:mount mvn:maven find:findutils'

install_tools() {
  local tool missing=''
  case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin:/sbin ;; esac
  for tool in $TOOLS; do
    command -v "${tool%%:*}" >/dev/null || missing+=" ${tool#*:}"
  done
  find_java || missing+=" openjdk-17-jre-headless"
  [ -z "$missing" ] || apt_install "$missing"
  for tool in $TOOLS; do
    command -v "${tool%%:*}" >/dev/null || die "'${tool%%:*}' is still missing: install it by hand (Debian package ${tool#*:})"
  done
  find_java || die "no Java 17 found, and Cassandra 4.0 to 5.0 needs just that one: install a JDK 17 and set JAVA_HOME to it"
}

# Sets JAVA17 to the home of a Java 17. The file 'release' tells the version without starting a JVM.
find_java() {
  local home on_path
  on_path=$(command -v java) && on_path=$(readlink -f "$on_path") && on_path=${on_path%/bin/java} || on_path=
  for home in "${JAVA_HOME:-}" "$on_path" /usr/lib/jvm/*17*; do
    if [ -x "$home/bin/java" ] && grep -q '^JAVA_VERSION="17' "$home/release" 2>/dev/null; then
      JAVA17=$(readlink -f "$home")
      return 0
    fi
  done
  return 1
}

apt_install() {
  local policy=/usr/sbin/policy-rc.d mine='' new_sshd='' packages
  command -v apt-get >/dev/null || die "missing:$1; there is no apt-get here, so install them by hand"
  packages=$(printf '%s\n' $1 | sort -u | tr '\n' ' ')
  say "installing Debian packages: $packages"
  [ -x /usr/sbin/sshd ] || new_sshd=1
  # The package of sshd starts a server on this very host; this policy file forbids it for the time of the installation.
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    mine=1
  fi
  # shellcheck disable=SC2086
  if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $packages; } >&2; then
    [ -z "$mine" ] || rm -f "$policy"
    die "apt-get could not install: $packages (its own words are above)"
  fi
  [ -z "$mine" ] || rm -f "$policy"
  # … and with the next boot it would start after all.
  if [ -n "$new_sshd" ] && [ -d /run/systemd/system ]; then
    systemctl disable -q ssh.service ssh.socket 2>/dev/null || true
  fi
}

# Short names of a release line mean the version the rig is tested with.
full_version() {
  case $1 in
    5.0) echo 5.0.5 ;;
    4.1) echo 4.1.9 ;;
    4.0) echo 4.0.17 ;;
    5.0.* | 4.1.* | 4.0.* | 5.0-*) echo "$1" ;;
    *) usage "Cassandra '$1' is not one the rig can run: 5.0.x, 4.1.x and 4.0.x can (3.11 does not run on Java 17)" ;;
  esac
}

# Cassandra $1 as jars: apache-cassandra-V.jar, deps/ (all others) and lib/ (both), as its packages and its tarball have them.
install_jars() {
  local version=$1 at=$CACHE/jars/$1 new
  [ ! -e "$at/complete" ] || return 0
  mkdir -p "$CACHE/jars"
  (
    # Two labs that start side by side: the second waits for the first one's download. Maven itself is not safe to run twice.
    flock -w 900 9 || die "somebody else has been filling $CACHE for 15 minutes: try again, or remove $CACHE/lock"
    [ ! -e "$at/complete" ] || exit 0
    say "fetching Cassandra $version with its libraries by Maven (once; about 70 MB)"
    rm -rf "$CACHE"/jars/.new.*       # of one that was killed
    new=$(mktemp -d "$CACHE/jars/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    cat >"$new/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>ringhaul</groupId><artifactId>rig</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>$version</version>
  </dependency></dependencies>
</project>
POM
    timeout 840 mvn -q -B -Dstyle.color=never -f "$new/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$new/deps" >&2 9>&- ||
      die "Maven could not fetch Cassandra $version (its own words are above); is that a version that exists?"
    rm -f "$new"/deps/*-osx-* "$new"/deps/*-windows-*
    mv "$new/deps/cassandra-all-$version.jar" "$new/apache-cassandra-$version.jar"
    mkdir "$new/lib"
    ln "$new"/deps/*.jar "$new/apache-cassandra-$version.jar" "$new/lib/"
    : >"$new/complete"
    chmod 755 "$new" "$new/deps" "$new/lib"
    chmod 644 "$new"/*.jar "$new"/deps/*.jar
    rm -rf "$at"
    mv "$new" "$at"
  ) 9>"$CACHE/lock"
}

# cqlsh from PyPI in a virtual environment of its own. Debian's python3 first: cqlsh is slow to learn about the newest Pythons.
install_cqlsh() {
  local at=$CACHE/cqlsh python
  [ ! -e "$at/complete" ] || return 0
  mkdir -p "$CACHE"
  (
    flock -w 900 9 || die "somebody else has been filling $CACHE for 15 minutes: try again, or remove $CACHE/lock"
    [ ! -e "$at/complete" ] || exit 0
    say "installing cqlsh from PyPI (once)"
    python=/usr/bin/python3
    [ -x "$python" ] && "$python" -c 'import venv, ensurepip' 2>/dev/null || apt_install "python3-venv"
    rm -rf "$at"
    { "$python" -m venv "$at" && "$at/bin/pip" install -q --disable-pip-version-check cqlsh; } >&2 9>&- ||
      die "pip could not install cqlsh (its own words are above)"
    : >"$at/complete"
  ) 9>"$CACHE/lock"
}

# The cassandra.yaml as releases ship it. Maven Central has the archives of few versions; the jars of the others hold none.
STOCK='3.11.5 4.0-alpha2'

install_stock() {
  local version new archive
  for version in $STOCK; do
    [ ! -e "$CACHE/stock/$version.yaml" ] || continue
    mkdir -p "$CACHE/stock"
    (
      flock -w 900 9 || die "somebody else has been filling $CACHE for 15 minutes: try again, or remove $CACHE/lock"
      [ ! -e "$CACHE/stock/$version.yaml" ] || exit 0
      say "fetching the cassandra.yaml of Cassandra $version by Maven (once; about 50 MB, of which one file is kept)"
      rm -rf "$CACHE"/stock/.new.*     # of one that was killed
      new=$(mktemp -d "$CACHE/stock/.new.XXXXXX")
      trap 'rm -rf "$new"' EXIT
      archive=apache-cassandra-$version-bin.tar.gz
      timeout 840 mvn -q -B -Dstyle.color=never dependency:copy -DoutputDirectory="$new" \
        -Dartifact="org.apache.cassandra:apache-cassandra:$version:tar.gz:bin" >&2 9>&- ||
        die "Maven could not fetch the archive of Cassandra $version (its own words are above)"
      tar -xzOf "$new/$archive" "apache-cassandra-$version/conf/cassandra.yaml" >"$new/cassandra.yaml" ||
        die "there is no conf/cassandra.yaml in $archive"
      rm -f "${HOME:-/root}/.m2/repository/org/apache/cassandra/apache-cassandra/$version/$archive"
      mv "$new/cassandra.yaml" "$CACHE/stock/$version.yaml"
    ) 9>"$CACHE/lock" || exit
  done
}

# Fetches everything before it is needed, for a machine that will be cut off, or for a cache of CI.
lab_install() {
  local version
  need_root
  install_tools
  install_cqlsh
  install_stock
  install_servers
  [ $# -gt 0 ] || set -- 5.0
  for version in "$@"; do
    version=$(full_version "$version") || exit
    install_jars "$version"
    say "Cassandra $version is in $CACHE/jars/$version"
  done
}
