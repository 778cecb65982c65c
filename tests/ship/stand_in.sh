#!/bin/sh
# Answers in another program's place, as a node that lies does. Files of the folder above its own:
#   said           every call, a line each
#   NAME-sends     what it sends in place of its work; without it the real one does its work
#   NAME-repeats   it sends that again and again, without end
#   NAME-before    is done before the real one begins, once
#   NAME-exit      the code it ends with
name=${0##*/} home=$(cd "${0%/*}/.." && pwd)
echo "$name $*" >> "$home/said"
if [ -e "$home/$name-before" ]; then
    mv "$home/$name-before" "$home/$name-doing"
    . "$home/$name-doing"
fi
if [ ! -e "$home/$name-sends" ]; then
    PATH=/usr/local/bin:/usr/bin:/bin
    exec "$name" "$@"
fi
cat "$home/$name-sends"
while [ -e "$home/$name-repeats" ]; do
    cat "$home/$name-sends" || exit 1
done
[ ! -e "$home/$name-exit" ] || exit "$(cat "$home/$name-exit")"
exit 0
