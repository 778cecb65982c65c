# common.sh: options, messages and the clearing away that all benchmarks share.
# shellcheck shell=bash

# The rig's own words for messages, with this program's name. stdout is kept for the tables.
say() { printf 'bench: %s\n' "$*" >&2; }
warn() { printf 'bench: warning: %s\n' "$*" >&2; }
die() { printf 'bench: error: %s\n' "$*" >&2; exit 1; }
usage() { printf 'bench: %s\n' "$*" >&2; exit 2; }

HOSTS=1000 IN_FLIGHT=64 RUNS='' PEERS=clush,pssh,loop KEX=default,curve25519 LIMIT=600 SIZE=2048 TREES=big,small FORM='' WITH_MEDUSA=0
MARKDOWN='' SEQUENTIAL=0 BEHIND_JUMP=0 RINGHAUL='' YAML_LINES=2000 KEEP='' VERSION_OF_RING=5.0.5 SETTLE=200

parse_options() {
  local option value
  while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
      --markdown) MARKDOWN=--markdown FORM=--markdown; continue ;;
      --json) FORM=--json; continue ;;
      --medusa) WITH_MEDUSA=1; continue ;;
      --sequential) SEQUENTIAL=1; continue ;;
      --behind-jump) BEHIND_JUMP=1; continue ;;
      --*=*) value=${option#*=}; option=${option%%=*} ;;
      --*) [ $# -gt 0 ] || usage "$COMMAND: $option wants a value"; value=$1; shift ;;
      *) usage "$COMMAND: '$option' is not an option: see '$BENCH $COMMAND --help'" ;;
    esac
    case $option in
      --hosts) number "$option" "$value" 1 60000; HOSTS=$value ;;
      --in-flight) number "$option" "$value" 1 1024; IN_FLIGHT=$value ;;
      --runs | --rounds) number "$option" "$value" 1 50; RUNS=$value ;;
      --limit) number "$option" "$value" 1 7200; LIMIT=$value ;;
      --yaml-lines) number "$option" "$value" 0 20000; YAML_LINES=$value ;;
      --peers) some_of "$option" "$value" "$(peers_of "$COMMAND")"; PEERS=$value ;;
      --trees) some_of "$option" "$value" 'big small none'; TREES=$value ;;
      --size) number "$option" "$value" 16 65536; SIZE=$value ;;
      --kex) some_of "$option" "$value" 'default curve25519'; KEX=$value ;;
      --ringhaul) RINGHAUL=$value ;;
      --results) KEEP=$value ;;
      --version) VERSION_OF_RING=$value ;;
      *) usage "$COMMAND: there is no option $option: see '$BENCH $COMMAND --help'" ;;
    esac
  done
}

peers_of() {
  case $1 in
    ship) echo 'rsync sync none' ;;
    *) echo 'clush pssh loop none' ;;
  esac
}

number() {
  [[ $2 =~ ^[0-9]{1,6}$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] || usage "$COMMAND: $1 is a number from $3 to $4, not '$2'"
}

some_of() {
  local word
  for word in ${2//,/ }; do
    [[ " $3 " == *" $word "* ]] || usage "$COMMAND: $1 takes of '$3', with commas between, not '$word'"
  done
}

need_programs() {
  # /usr/bin/python3 measures, and is what clush and pssh run on anyway.
  need_tools ssh:openssh-client ssh-keygen:openssh-client /usr/sbin/sshd:openssh-server ip:iproute2 unshare:util-linux \
    setpriv:util-linux mount:mount xargs:findutils clush:clustershell parallel-ssh:pssh /usr/bin/python3:python3-minimal dash:dash
}

# Each is a program and the Debian package that holds it.
need_tools() {
  local tool missing=
  [ "$(id -u)" = 0 ] || die "namespaces and mounts need root: run this again as root, for example 'sudo $BENCH $COMMAND'"
  case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin:/sbin ;; esac
  for tool in "$@"; do
    command -v "${tool%%:*}" >/dev/null || missing+=" ${tool#*:}"
  done
  [ -z "$missing" ] || apt_install "$missing"
}

# The release build: a debug build is ten times slower in its cryptography.
find_ringhaul() {
  local target=${CARGO_TARGET_DIR:-$HERE/../target}
  [ -n "$RINGHAUL" ] || RINGHAUL=$target/release/ringhaul
  [ -x "$RINGHAUL" ] || die "there is no $RINGHAUL: build it with 'cargo build --release', or name another with --ringhaul"
  RINGHAUL=$(readlink -f "$RINGHAUL")
}

# A folder for this run, and the one way it is cleared away: at the end, at a failure, and at Ctrl-C or TERM.
begin() {
  local left
  # Of one that was killed outright the processes are gone, but not the folder.
  for left in /var/tmp/ringhaul-bench.*; do
    [ ! -e "$left/owner" ] || recorded "$left/owner" || rm -rf "$left"
  done
  WORK=$(mktemp -d /var/tmp/ringhaul-bench.XXXXXX)
  chmod 755 "$WORK"
  record_pid "$WORK/owner" "$$"
  CLEAR=$1
  trap 'trap - EXIT; set +e; $CLEAR; rm -rf "$WORK"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# Runs a command in the background and waits, so that a signal to this shell is heard at once.
# It ends when this shell does, whatever ends it (setpriv); its pid is recorded in $WORK/inside.
in_background() {
  setpriv --pdeathsig KILL "$@" &
  record_pid "$WORK/inside" $!
  wait $!
}

# Calls this program again, as $1, in namespaces of its own. Its results are kept, also when it breaks off.
run_inside() {
  local code=0
  declare -p WORK HOSTS IN_FLIGHT RUNS PEERS KEX LIMIT SEQUENTIAL BEHIND_JUMP RINGHAUL YAML_LINES SIZE TREES >"$WORK/options"
  # --kill-child: whoever ends the first process in there ends all of them, and with them mounts and network.
  in_background unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc --propagation private -- \
    /usr/bin/env -i PATH="$PATH" HOME="$WORK/home" LANG=C.UTF-8 RUST_BACKTRACE=0 EXTRA="${BENCH_EXTRA:-}" \
    "$SELF" "$1" "$WORK" || code=$?
  [ -z "$KEEP" ] || [ ! -e "$WORK/results" ] || cp "$WORK/results" "$KEEP"
  [ "$code" = 0 ] || die "the run broke off (exit $code)"
}

end_inside() { end_recorded "$WORK/inside"; }

# The first thing within the namespaces.
enter() {
  [ "$$" = 1 ] && [ -e "$1/options" ] || usage "'$COMMAND' is not for people: see '$BENCH help'"
  # declare -g: plain 'declare' would make them local to this function.
  eval "$(sed 's/^declare --/declare -g --/' "$1/options")"
  make_private
  mkdir "$WORK/home"
}
