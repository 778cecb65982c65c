# servers.sh: SSH servers and login shells of several Debian releases, each release in a root folder of its own in the cache.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

# What the tests of the SSH door start (tests/sshd_matrix.rs). A release that the mirror has no longer is told and left out.
SERVER_SUITES='bullseye bookworm trixie'
SERVER_PACKAGES='openssh-server dropbear-bin bash dash fish tcsh coreutils findutils grep sed mawk procps util-linux gzip locales login'

# Where apt gets Debian itself from. A machine whose lists were cleared away does not know before an update.
debian_mirror() {
  local uri
  command -v apt-get >/dev/null || return 1
  uri=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN)/$(LABEL)' 'Created-By: Packages' 2>/dev/null | sed -n 's,  *Debian/Debian$,,p' | head -n 1)
  [ -n "$uri" ] || return 1
  printf '%s\n' "$uri"
}

install_servers() {
  local suite mirror=''
  for suite in $SERVER_SUITES; do
    [ ! -e "$CACHE/servers/$suite/complete" ] || continue
    if [ -z "$mirror" ] && ! mirror=$(debian_mirror) && ! { apt-get -qq update >&2 && mirror=$(debian_mirror); }; then
      warn "no SSH servers of $SERVER_SUITES: apt of this machine names no mirror of Debian"
      return 0
    fi
    mkdir -p "$CACHE/servers"
    (
      flock -w 900 9 || die "somebody else has been filling $CACHE for 15 minutes: try again, or remove $CACHE/lock"
      [ ! -e "$CACHE/servers/$suite/complete" ] || exit 0
      say "fetching the SSH servers and shells of Debian $suite (once; about 55 MB)"
      rm -rf "$CACHE"/servers/.new.*     # of one that was killed
      new=$(mktemp -d "$CACHE/servers/.new.XXXXXX")
      trap 'rm -rf "$new"' EXIT
      if ! fetch_suite "$suite" "$mirror" "$new" 9>&-; then
        warn "no SSH servers of Debian $suite: apt could not fetch them (its own words are above)"
        exit 0
      fi
      unpack_suite "$new"
      : >"$new/complete"
      chmod 755 "$new"
      rm -rf "$CACHE/servers/$suite"
      mv "$new" "$CACHE/servers/$suite"
    ) 9>"$CACHE/lock" || exit
  done
}

# Downloads the packages and all they need into $3/apt, as if for a machine on which nothing is installed.
fetch_suite() {
  local suite=$1 mirror=$2 apt=$3/apt signed='' keys=/usr/share/keyrings/debian-archive-keyring.gpg
  local -a options
  [ ! -e "$keys" ] || signed="[signed-by=$keys] "
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
  : >"$apt/status"
  printf 'deb %s%s %s main\n' "$signed" "$mirror" "$suite" >"$apt/sources.list"
  options=(-qq -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o "Dir::Etc::sourcelist=$apt/sources.list"
    -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o APT::Sandbox::User=root)
  # shellcheck disable=SC2086
  apt-get "${options[@]}" update >&2 &&
    apt-get "${options[@]}" -y --no-install-recommends --download-only install $SERVER_PACKAGES >&2
}

# No package's scripts are run: a root with bin and lib inside usr, the German locale, and what the scripts would have linked.
unpack_suite() {
  local at=$1 root=$1/root folder deb
  mkdir -p "$root"/{dev,etc,home,proc,root,run,tmp,var/empty} "$root"/usr/{bin,sbin,lib,lib64}
  chmod 1777 "$root/tmp"
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  for deb in "$at"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --exclude=./usr/share/doc --exclude=./usr/share/man \
      --exclude=./usr/share/info --exclude=./usr/share/perl --exclude=./usr/share/zoneinfo --exclude='./usr/lib/python3*' --exclude='./usr/share/locale/[!d]*'
  done
  for deb in openssh-server dropbear-bin fish tcsh; do
    dpkg-deb --show --showformat '${Package} ${Version}\n' "$at/apt/cache/archives/${deb}"_*.deb
  done >"$at/versions"
  rm -rf "$at/apt"
  ln -sf mawk "$root/usr/bin/awk"
  ln -sf tcsh "$root/usr/bin/csh"
  chroot "$root" /usr/bin/localedef -i de_DE -f UTF-8 de_DE.UTF-8 >&2 || die "localedef made no German locale"
  rm -rf "$root/usr/share/i18n"
}
