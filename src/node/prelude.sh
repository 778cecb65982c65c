# What the scripts that look at files have in common; it stands before each. POSIX sh.

LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL
nl='
'
say() { printf '\000%s %s\000' "$1" "$2"; }

# Another account may not look into the folder we were put in, and find wants to come back to it.
cd /

# May we do this ourselves (yes, no)? Then plainly; else by sudo, which must not ask (-n), or as we
# were told. It ends the shell, so it is called in $( ) or a pipe alone, which is a shell of its own.
as_allowed() {
    may=$1
    shift
    if [ "$sudo" = always ] || { [ "$sudo" = auto ] && [ "$may" = no ]; }; then
        IFS=' '
        # sudo that logs input reads on, and would take the rest of this script.
        exec ${RINGHAUL_AS:-sudo -n --} "$@" </dev/null
    else
        exec "$@"
    fi
}

