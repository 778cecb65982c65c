# Removes the files of one set in backups, each one only if it is still that very file.
#
# Arguments: sudo (auto, never, always), folder, then for each file `device:inode:size:time` and name.
# Answer: segments between NULs, each a word, a space, and a value.

sudo=$1 folder=$2
shift 2

may=no
[ -w "$folder" ] && [ -x "$folder" ] && may=yes

look() { (as_allowed "$may" stat -c '%d:%i:%s:%.9Y %F' -- "$1" </dev/null); }

# Checks one file: 0 it is the one, 1 it is not there, 2 it is another, or cannot be looked at.
check() {
    if found=$(look "$2" 2>/dev/null); then
        case $found in
            "$1 regular file" | "$1 regular empty file") return 0 ;;
            *) say other "$2"; return 2 ;;
        esac
    fi
    errors=$(look "$2" 2>&1 >/dev/null)
    case $errors in
        *'No such file or directory'*) return 1 ;;
        *) say walk-errors "${errors:-cannot look at $2}"; return 2 ;;
    esac
}

pass() {
    task=$1
    shift
    while [ $# -gt 1 ]; do
        check "$1" "$folder/$2"
        case $? in
            2) return 1 ;;
            0) if [ "$task" = remove ]; then
                errors=$( (as_allowed "$may" rm -f -- "$folder/$2" </dev/null) 2>&1 >/dev/null)
                # rm may grumble by way of sudo and still do it: look.
                if look "$folder/$2" >/dev/null 2>&1; then
                    say walk-errors "${errors:-it is still there}"
                    return 1
                fi
                say removed "$2"
            fi ;;
        esac
        shift 2
    done
}

# All of them first: of a set that is not what it was, nothing is taken.
pass check "$@" && pass remove "$@"
say end ok
