# Lists the SSTable files of one table, live and in backups, for ringhaul. It only looks.
#
# Arguments: sudo (auto, never, always), keyspace, table, a time or '', data folders ...
# Every Data.db is listed; of other files and TOC texts those that changed since that time, so
# that the answer is short where a hundred thousand sets wait in backups. No time: none of them.
# Answer: segments between NULs, each a word, a space, and a value.

sudo=$1 keyspace=$2 table=$3 since=${4:-9999999999}
shift 4

say now "$(date +%s)"
for folder in "$@"; do
    shift
    set -- "$@" "$folder/$keyspace"
done

# A table's folder is <table>-<32 digits>, right below the keyspace's; the controller looks closer.
look() {
    may=$1
    shift
    say walk "$may"
    errors=$(
        as_allowed "$may" find -L "$@" -mindepth 1 -maxdepth 4 \
            -type d '(' -name snapshots -o ! -path "*/$keyspace/$table-*" ')' -prune -o \
            -type d -printf '\0d %p\0' -o \
            '(' -name '*-Data.db' -o -name '*_txn_*.log' -o -newerct "@$since" ')' \
            -printf '\0f %y %D %i %n %s %T@ %p\0' \
            -type f -path '*/backups/*' -name '*-TOC.txt' -newerct "@$since" \
            -exec head -v -c 65536 -- '{}' + \
            2>&1 >&3 3>&-
    )
    status=$?
    [ -n "$errors" ] && say walk-errors "$(printf '%s' "$errors" | head -c 8192)"
    say walk-end "$status"
}
exec 3>&1
look yes "$@"
case $sudo$errors in auto*ermission\ denied*) look no "$@" ;; esac
say end ok
