# The sets in backups, and in one snapshot, after survey.sh. It only looks.
#
# One pass over all data folders, no process per file; `head` is started once for many digests.
# The pass follows no symbolic link, which spares it a second look at every file; where one leads
# to a folder, a pass of its own goes behind it. A digest ends without a line end, and so does what
# `head` prints of some: a NUL parts it from what the next one prints.

hex='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
hex=$hex$hex$hex$hex
skip=*-$hex$hex/snapshots keep=/nowhere depth=5
[ -n "$tag" ] && skip=$skip/* keep=*/snapshots/$tag depth=6

# The outer find would put its own path for a pair of braces.
behind='find -L "$1" -maxdepth "$2" -type d -printf "\0l %D %p\0" -o \
    "(" -path "*/backups/*" -o -path "$3/*" ")" \
    "(" -xtype l -printf "\0k l %D %i %n %s %T@ %p\0" -o \
        -printf "\0k %y %D %i %n %s %T@ %p\0" ")" \
    -type f -size -65c -name "*-Digest.crc32" -exec head -v -c 64 -- "{""}" + -printf "\0"
    printf "\000"'

look() {
    may=$1
    shift
    say walk "$may"
    errors=$(
        as_allowed "$may" find -H "$@" -maxdepth "$depth" \
            -type d '(' -name lost+found -prune -o \
            -path "$skip" ! -path "$keep" ! -path "$keep/*" -prune -o \
            -printf '\0d %D %p\0' ')' -o \
            -type l -xtype d -exec sh -c "$behind" sh '{}' "$depth" "$keep" ';' -false -o \
            '(' -path '*/backups/*' -o -path "$keep/*" ')' \
            -printf '\0f %d %y %D %i %n %s %T@ %f\0' \
            -type f -size -65c -name '*-Digest.crc32' -exec head -v -c 64 -- '{}' + \
            -printf '\0' 2>&1 >&3 3>&-
    )
    status=$?
    [ -n "$errors" ] && say walk-errors "$(printf '%s' "$errors" | head -c 8192)"
    say walk-end "$status"
}
exec 3>&1
look "$may" "$@"
case $sudo$may$errors in autoyes*ermission\ denied*) look no "$@" ;; esac
say end ok
