# Holds this node for one run for as long as the controller's line lives. POSIX sh and coreutils.
#
# Arguments: folder, run, verb, who, seconds of silence that mean a dead line, seconds to linger.
# Answer: a segment between NULs, `held`, `blocked` or `refused`. Then the script waits: an empty
# line is a beat, `done` is the release, end of file or silence a line that died.
#
# A ticket is an empty file whose name says all, so a full disk does not matter. Each side writes
# its own ticket first and reads the others' after that: two may both give way, two never hold.

folder=$1 run=$2 verb=$3 who=$4 silence=$5 linger=$6
LC_ALL=C
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
export LC_ALL PATH
nl='
'
# A line that is gone must not end this before its time.
trap '' PIPE

say() { printf '\000%s %s\000' "$1" "$2"; }
refuse() {
    say refused "$1"
    exit 1
}

# Reads the state and the start of a process. Its name may hold spaces and brackets.
look_at() {
    { read -r stat < "/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*') '}
    set -f
    set -- $stat
    set +f
    state=$1 start=${20}
}

# Is the process of this ticket (pid, start, boot) known to be gone? A process of another account
# may be hidden; the kernel still tells "not permitted" from "no such process".
is_gone() {
    [ "$3" = "$boot" ] || return 0
    if look_at "$1"; then
        case $state in Z | X) return 0 ;; esac
        [ -n "$start" ] && [ "$start" != "$2" ]
        return
    fi
    said=$(kill -0 "$1" 2>&1) && return 1
    case $said in *'No such process'*) return 0 ;; *) return 1 ;; esac
}

# The marker says that the line is dead. It stands beside the ticket: renaming the ticket could
# hide it from somebody who reads the folder at that moment.
remove() { rm -f -- "$folder/ticket,$1" "$folder/dead,$1" 2>/dev/null; }

# The line is dead. What was begun over it may still run, so the node stays taken for a while.
die() {
    trap '' HUP INT TERM
    (set -C; : > "$folder/dead,$mine") 2>/dev/null
    sleep "$linger"
    remove "$mine"
    exit 1
}

# A controller that stood still may wake up and go on, and a network that comes back may bring a
# command that was under way: neither may find the line it had. Only sshd is ever ended.
end_line() {
    name=''
    { read -r name < "/proc/$PPID/comm"; } 2>/dev/null
    case $name in sshd*) kill "$PPID" 2>/dev/null ;; esac
}

hold() {
    trap die HUP INT TERM
    say held "$since"
    while :; do
        # One read takes what is there: beats, the release, or nothing at the end of file. Should
        # the shell be killed, its channel must not wait for this.
        word=$(exec 2>/dev/null; timeout "$silence" dd bs=64 count=1; echo "$?")
        if [ ! -e "$folder/ticket,$mine" ]; then
            echo 'somebody removed its ticket' >&2
            exit 1
        fi
        case $word in
            # A piece of the word does, should it come in two.
            *[done]*) remove "$mine"; exit 0 ;;
            "$nl"*) ;;
            124) end_line; die ;;
            *) die ;;
        esac
    done
}

for tool in date dd mkdir rm sleep timeout; do
    command -v "$tool" > /dev/null || refuse "the node has no $tool"
done
{ read -r boot < /proc/sys/kernel/random/boot_id; } 2>/dev/null && look_at "$$" ||
    refuse 'the node shows no /proc'
boot=${boot%%-*}
since=$(date +%s)
mine=$run,$$,$start,$boot,$since,$verb,$who
# Others must be able to read it.
case ,$mine, in *[!A-Za-z0-9@._,-]* | *,,*) refuse "no ticket can be named $mine" ;; esac

said=$(mkdir -m 1777 -- "$folder" 2>&1)
[ -L "$folder" ] && refuse "$folder is a symbolic link"
[ -d "$folder" ] || refuse "$said"
claim() { said=$( (set -C; : > "$folder/ticket,$mine") 2>&1); }
# Another account may just be making the folder, and its rights come a moment later.
claim || { sleep 1; claim; } || refuse "$said"

for path in "$folder"/ticket,*; do
    name=${path##*/ticket,}
    # What is no ticket of ours is none at all.
    case ,$name, in *[!A-Za-z0-9@._,-]* | *,,* | ",$mine,") continue ;; esac
    IFS=,
    set -- $name
    unset IFS
    [ $# = 7 ] || continue
    case $2 in 0* | *[!0-9]* | ?????????*) continue ;; esac
    case $5 in *[!0-9]* | ?????????????*) continue ;; esac
    if is_gone "$2" "$3" "$4"; then
        remove "$name"
    elif [ "$1" != "$run" ]; then
        line=live
        [ -e "$folder/dead,$name" ] && line=dead
        remove "$mine"
        say blocked "$line $since $name"
        exit 0
    fi
done

# The shell may have read a block ahead; from here on it reads no more.
hold
