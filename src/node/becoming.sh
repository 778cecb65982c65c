# Runs one command whose programs get other rights by a password. POSIX sh; it is read up to the
# line below, as LOAD does, so that the password and what follows it stay for this.
#
# Arguments: account whose rights are wanted, program, arguments of it ...
# Input: a line with the password, then the program's own input.
# It ends as the program does, or with 97 and a line that begins with `ringhaul: become:`.
#
# The password stands in no argv, no environment and in no file that has a name: sudo asks `cat`
# for it, which is told to print what a descriptor of this shell holds. The shell stays until the
# program has ended: a program that takes its place, sudo itself perhaps, would hide it.

set +axv
# An exported one of that name would take the password along.
unset ringhaul_p ringhaul_at ringhaul_as
LC_ALL=C
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
export LC_ALL PATH

ringhaul_no() {
    printf '\nringhaul: become: %s\n' "$1" >&2
    exit 97
}

# Were it a program, the password would stand in its argv.
case $(command -v printf) in printf) ;; *) ringhaul_no 'the shell has no printf of its own' ;; esac
IFS= read -r ringhaul_p || ringhaul_no 'no password came'
ringhaul_as=
[ "$1" = root ] || ringhaul_as="-u $1"
shift

# One try, and no more: accounts are locked by wrong ones, and each sudo below would try thrice.
printf '%s\n' "$ringhaul_p" | sudo -k -S -p '' $ringhaul_as -v || ringhaul_no password

SUDO_ASKPASS=$(command -v cat)
ringhaul_mask=$(umask)
umask 077
# Memory first; on a disk its blocks belong to no name, and are free again when this ends.
for ringhaul_at in /dev/shm "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" /run/lock /tmp /var/tmp "$HOME" ''
do
    [ -n "$ringhaul_at" ] || ringhaul_no 'no folder to write to: /dev/shm or /tmp will do'
    ringhaul_at=$ringhaul_at/.ringhaul-$$
    # Only a file that is made here: a link or a file of somebody else is not followed.
    (set -C; : >"$ringhaul_at") 2>/dev/null && break
done
exec 9<>"$ringhaul_at"
rm -f -- "$ringhaul_at"
printf '%s\n' "$ringhaul_p" >&9 || ringhaul_no 'no room for the password in memory or /tmp'
unset ringhaul_p
umask "$ringhaul_mask"

RINGHAUL_AS="sudo -A -p /proc/$$/fd/9${ringhaul_as:+ $ringhaul_as} --"
export SUDO_ASKPASS RINGHAUL_AS
# Not as a redirection of the program alone: some shells make that their own until it has ended.
(
    exec 9>&-
    exec "$@"
)
exit $?
