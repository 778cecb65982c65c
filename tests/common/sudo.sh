#!/bin/sh
# A sudo that does what it is asked, and writes down which program that was, into the folder above
# its own. It takes what ringhaul gives it, and nothing else.
[ "$1 $2" = '-n --' ] || exit 9
shift 2
echo "$1" >> "${0%/*}/../asked"
exec "$@"
