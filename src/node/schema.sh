# Prints the schemas that snapshots hold, for ringhaul. It only looks.
#
# Arguments: sudo (auto, never, always), data folders ...
# Answer: segments between NULs, each a word, a space, and a value.

sudo=$1
shift
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '\000%s %s\000' "$1" "$2"; }

# Plainly if we may, else by sudo, which must not ask (-n); it ends the shell, so it is called in
# $( ) or a pipe alone.
as_reader() {
    may=$1
    shift
    if [ "$sudo" = always ] || { [ "$sudo" = auto ] && [ "$may" = no ]; }; then
        exec sudo -n -- "$@"
    else
        exec "$@"
    fi
}

# <keyspace>/<table folder>/snapshots/<name>/schema.cql lies five deep, whatever it is called.
look() {
    may=$1
    shift
    say walk "$may"
    errors=$(
        as_reader "$may" find -L "$@" -mindepth 2 -maxdepth 5 \
            -type d -path '*/*-????????????????????????????????' -printf '\0d %d %p\0' -o \
            -path '*/snapshots/*' -name schema.cql -type f \
            -printf '\0s %d %T@ %p\0' -exec head -v -c 65536 -- '{}' + \
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
