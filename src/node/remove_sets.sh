# Removes the files of sets in backups; of a set that is not what it was, none.
#
# Arguments: sudo (auto, never, always).
# Input: for each file a line `PATH <tab> 0 <tab> DEVICE:INODE:SIZE:TIME <tab> SET`; no path holds a
# tab or a line end, and no two sets have the beginning of their files' paths in common.
# Answer: segments between NULs, each a word, a space, and a value.
#
# No process per file, nothing recursive, no pattern, and no folder: rm is given names alone.

sudo=$1
tab='	'
list=$(cat)

# A shell's `read` asks the system for each byte: lines are told apart in memory.
set -f
IFS=$nl

# One folder that is not ours to write to, and all is asked of sudo. One that is gone is no such.
may='' last=''
for line in $list; do
    path=${line%%"$tab"*}
    dir=${path%/*}
    [ "$dir" = "$last" ] && continue
    last=$dir
    [ -w "$dir" ] && [ -x "$dir" ] && continue
    [ ! -e "$dir" ] && [ -x "${dir%/*}" ] && continue
    may=no
    break
done
run=''
case $sudo$may in
    always* | autono) run=$(printf '%s' "${RINGHAUL_AS:-sudo -n --}" | tr ' ' '\n') ;;
esac

# A program for many of the lines' paths at once.
each() {
    lines=$1
    shift
    printf '%s\n' "$lines" | cut -f 1 | tr '\n' '\000' | xargs -0 $run "$@"
}

# What is there now. What cannot be seen for any other reason than that it is gone is a fault.
look() {
    found=$(each "$list" stat -c "%n${tab}1${tab}%d:%i:%s:%.9Y:%F${tab}%h" -- 2>/dev/null)
    case $? in
        0) return 0 ;;
        123) ;;
        *) say walk-errors 'stat was ended'; return 1 ;;
    esac
    errors=$(
        each "$list" stat -c %i -- 2>&1 >/dev/null |
            grep -v -e 'No such file or directory$' -e 'unable to resolve host'
    )
    [ -z "$errors" ] && return 0
    say walk-errors "$(printf '%s' "$errors" | head -c 8192)"
    return 1
}

# Prints the paths of sets that are what they were, as far as they are there.
whole() {
    set='' good=''
    for line in $(printf '%s\n%s\n' "$list" "$found" | sort -t "$tab" -k 1,1 -k 2,2); do
        path=${line%%"$tab"*} line=${line#*"$tab"}
        kind=${line%%"$tab"*} line=${line#*"$tab"}
        what=${line%%"$tab"*} more=${line#*"$tab"}
        if [ "$kind" = 0 ]; then
            if [ "$more" != "$set" ]; then
                printf '%s' "$good"
                set=$more good='' is_other=''
            fi
            want=$what at=$path
            continue
        fi
        [ "$path" = "$at" ] || return 1
        case $what in
            "$want:regular file" | "$want:regular empty file")
                [ -z "$is_other" ] && good=$good$path$nl
                ;;
            *) is_other=yes good='' ;;
        esac
    done
    printf '%s' "$good"
}

if look; then
    say before "$found"
    good=$(whole) || good=''
    if [ -n "$good" ]; then
        errors=$(each "$good" rm -f -- 2>&1 >/dev/null)
        [ -n "$errors" ] && say rm-errors "$(printf '%s' "$errors" | head -c 8192)"
    fi
    look && say after "$found"
fi
say end ok
