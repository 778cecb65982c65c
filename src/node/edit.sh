# What ringhaul asks a node about its cassandra.yaml, and how it changes it. POSIX sh with
# coreutils and find alone.
#
# Arguments: read, sudo (auto, never, always), path the inventory gives or '', path, most bytes
#        or: edit, sudo, given path, path, file behind its links, offset, length, text as octal
#            digits (three a byte), SHA-256 of the old file, of the new file, stamp
# Answer: segments between NULs, each a word, a space, and a value.
#
# The path holds the old file or the new one, whole, whenever this is cut: the new one is built
# beside the old and takes its name in one rename.

say() { printf '\000%s %s\000' "$1" "$2"; }

# Other rights for single plain programs only, and sudo must not ask.
as() {
    if [ "$root" = yes ]; then
        (
            IFS=' '
            exec ${RINGHAUL_AS:-sudo -n --} "$@"
        )
    else
        "$@"
    fi
}

# A process can name any file as its settings: root's rights only for a path that the inventory
# names, or where packages put it.
choose_rights() {
    root=no
    case $sudo in
        never) return ;;
        always) root=yes; return ;;
    esac
    [ "$(id -u)" = 0 ] && return
    file=$(readlink -f -- "$path" 2>/dev/null)
    if [ -n "$file" ] && [ -r "$file" ]; then
        [ "$mode" = read ] && return
        # Who does not own a file cannot make another one with the same owner.
        [ "$(stat -c %u -- "$file")" = "$(id -u)" ] && [ -w "${file%/*}/" ] && return
    fi
    case $path in "$given" | /etc/cassandra/*) root=yes ;; esac
}

# readlink itself does not say what is wrong.
behind_links() {
    real=$(as readlink -e -- "$path" 2>&1) && return
    refuse look "${real:-$(as stat -L -- "$path" 2>&1 >/dev/null)}"
}

sum_of() {
    sum=$(as cat -- "$1" 2>/dev/null | sha256sum) && sum=${sum%% *}
}

read_it() {
    behind_links
    target=$real
    say target "$target"
    stat=$(as stat -c '%h %u %g %a %s %U:%G %F' -- "$target" 2>&1) || refuse look "$stat"
    say stat "$stat"
    # A pipe or a device may never end.
    case $stat in *' regular file' | *' regular empty file') ;; *) refuse kind "$stat" ;; esac
    set -f
    # shellcheck disable=SC2086
    set -- $stat
    set +f
    [ "$5" -le "$most" ] || refuse size "$5"
    sum_of "$target"
    say sum "$sum"
    errors=$(as cat -- "$target" 2>&1 >/dev/null) || refuse look "$errors"
    printf '\000text '
    as cat -- "$target" 2>/dev/null
    say end "$?"
}

# Ends it all: nothing was changed, and nothing of ours is left.
refuse() {
    [ -z "$new" ] || as rm -f -- "$new" "$copy" 2>/dev/null
    [ -z "$made" ] || as rm -f -- "$made" 2>/dev/null
    say refused "$1 $2"
    exit 0
}

changed() {
    [ -z "$new" ] || as rm -f -- "$new" "$copy" 2>/dev/null
    [ -z "$made" ] || as rm -f -- "$made" 2>/dev/null
    say changed "$1"
    exit 0
}

# A step that must succeed; what it complains of is told.
must() {
    step=$1
    shift
    errors=$(as "$@" 2>&1) || refuse "$step" "$errors"
}

# Files beside it whose names go on like this, one a line: names that ringhaul alone gives.
ours() {
    as find "$folder/" -maxdepth 1 -type f -name "*$1" -printf '%f\n' 2>/dev/null | sort |
        while IFS= read -r name; do
            tail=${name#"$base"}
            # shellcheck disable=SC2254
            case $tail in "$name") ;; $1) printf '%s\n' "$name" ;; esac
        done
}

# Left by one that was cut. Of another one at work right now it stops that one before its rename.
sweep() {
    for name in $(ours '.ringhaul-tmp-[0-9]*T[0-9]*Z-[0-9]*'); do
        must sweep rm -f -- "$folder/$name"
    done
}

prune() {
    backups=$(ours '.ringhaul-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z')
    # shellcheck disable=SC2086
    set -- $backups
    pruned=0
    while [ $# -gt 5 ]; do
        as rm -f -- "$folder/$1" 2>/dev/null && pruned=$((pruned + 1))
        shift
    done
    while [ $# -gt 1 ]; do shift; done
    say pruned "$pruned"
    [ $# = 0 ] || say last "$folder/$1"
}

text() {
    rest=$octal
    while [ -n "$rest" ]; do
        more=${rest#???}
        # shellcheck disable=SC2059
        printf "\\${rest%"$more"}"
        rest=$more
    done
}

# The old file with the replacement made. What is written has the old file's owner, who may put a
# link to another one in its place at this moment: root follows none.
new_text() {
    as dd if="$target" bs=65536 iflag=nofollow status=none | {
        head -c "$offset"
        [ "$length" = 0 ] || head -c "$length" >/dev/null
        text
        cat
    }
}

# Owner, group, mode; the SELinux label, where there are any.
likeness() {
    as stat -c '%u %g %a' -- "$1" 2>&1
    as stat -c %C -- "$1" 2>/dev/null
}

edit_it() {
    behind_links
    [ "$real" = "$target" ] || changed link
    folder=${target%/*} base=${target##*/}
    stat=$(as stat -c '%h %F' -- "$target" 2>&1) || refuse look "$stat"
    case $stat in
        '1 regular file' | '1 regular empty file') ;;
        *regular*) refuse links "$stat" ;;
        *) refuse kind "$stat" ;;
    esac
    errors=$(as cat -- "$target" 2>&1 >/dev/null) || refuse look "$errors"
    IFS='
'
    set -f
    sweep
    sum_of "$target"
    case $sum in
        "$new_sum") prune; say done already; exit 0 ;;
        "$old_sum") ;;
        '') refuse sum 'sha256sum: not found' ;;
        *) changed text ;;
    esac

    # Names of their own: two at work at once must not write into one file.
    new=$target.ringhaul-tmp-$stamp-$$ copy=$target.ringhaul-tmp-$stamp-$$-copy
    must new cp --no-dereference --preserve=all --remove-destination -T -- "$target" "$new"
    # No link is followed that the folder's owner might put there meanwhile.
    errors=$(new_text 2>/dev/null |
        as dd of="$new" bs=65536 conv=nocreat,fsync oflag=nofollow status=none 2>&1) ||
        refuse new "$errors"
    sum_of "$new"
    if [ "$sum" != "$new_sum" ]; then
        sum_of "$target"
        [ "$sum" = "$old_sum" ] || changed text
        refuse new 'the new file is not what it should be'
    fi
    [ "$(likeness "$new")" = "$(likeness "$target")" ] || refuse owner "$(likeness "$target")"

    backup=$target.ringhaul-$stamp
    if [ -z "$(ours ".ringhaul-$stamp")" ]; then
        must backup cp --no-dereference --preserve=all --remove-destination -T -- "$target" "$copy"
        sum_of "$copy"
        [ "$sum" = "$old_sum" ] || changed text
        must backup sync "$copy"
        must backup mv -fT -- "$copy" "$backup"
        made=$backup
    fi
    sum_of "$backup"
    [ "$sum" = "$old_sum" ] || refuse backup "$backup: File exists"
    sum_of "$target"
    [ "$sum" = "$old_sum" ] || changed text

    if ! errors=$(as mv -fT -- "$new" "$target" 2>&1); then
        # Ended from outside, it may have done its work all the same.
        sum_of "$target"
        case $sum in
            "$new_sum") ;;
            "$old_sum") refuse rename "$errors" ;;
            *) changed text ;;
        esac
    fi
    # Where it cannot be, a crash of the node right now may bring back the old file, whole.
    as sync "$folder/" 2>/dev/null
    say backup "$backup"
    prune
    say done replaced
}

main() {
    mode=$1 sudo=$2 given=$3 path=$4
    LC_ALL=C PATH=$PATH:/usr/bin:/bin
    export LC_ALL PATH
    # Another account may not look into the folder we were put in, and find comes back to it.
    cd /
    new='' copy='' made=''
    choose_rights
    case $mode in
        read)
            most=$5
            read_it
            ;;
        edit)
            shift 4
            target=$1 offset=$2 length=$3 octal=$4 old_sum=$5 new_sum=$6 stamp=$7
            edit_it
            ;;
    esac
}

# Begun when all of it has come, not before; no program reads on where this text came from.
main "$@" </dev/null
