# The survey's look at the data folders, after survey.sh. It only looks.
#
# One pass over all data folders, no process per file; `head` is started once for many TOCs.
# Symbolic links are followed, as Cassandra follows them; the depth bounds it.
look() {
    may=$1
    shift
    say walk "$may"
    errors=$(
        as_allowed "$may" find -L "$@" -maxdepth 6 \
            -name lost+found -prune -o \
            -type d -printf '\0d %d %T@ %p\0' -o \
            '(' -path '*/backups/*' -o -path '*/snapshots/*' -o -name '*-Data.db' ')' \
            -printf '\0f %d %y %n %s %T@ %p\0' \
            -path '*/backups/*' -name '*-TOC.txt' -exec head -v -c 65536 -- '{}' + \
            2>&1 >&3 3>&-
    )
    status=$?
    [ -n "$errors" ] && say walk-errors "$(printf '%s' "$errors" | head -c 8192)"
    say walk-end "$status"
}
exec 3>&1
look "$may" "$@"
case $sudo$may$errors in autoyes*ermission\ denied*) look no "$@" ;; esac
say end ok
