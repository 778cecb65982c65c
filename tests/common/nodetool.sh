#!/bin/sh
# Answers like nodetool, from files of the folder above it. Files of that folder:
#   live        is there while incremental backups are on
#   said        every call, a line each
#   fail-WORD   makes `nodetool WORD` fail with this text
#   hang-WORD   makes `nodetool WORD` do its work and never end
#   ../ring     the ring's table; ../down/ADDRESS shows that node down
home=${0%/*}/..
echo "$*" >> "$home/said"
if [ -e "$home/fail-$1" ]; then
    cat "$home/fail-$1" >&2
    exit 1
fi
case $1 in
    status)
        echo 'Datacenter: dc1'
        echo '==============='
        echo 'Status=Up/Down'
        echo '|/ State=Normal/Leaving/Joining/Moving'
        echo '--  Address     Load       Tokens  Owns  Host ID                               Rack'
        while read -r address rest; do
            state=UN
            [ -e "$home/../down/$address" ] && state=DN
            echo "$state  $address  $rest"
        done < "$home/../ring"
        ;;
    statusbackup) if [ -e "$home/live" ]; then echo running; else echo 'not running'; fi ;;
    enablebackup) : > "$home/live" ;;
    disablebackup) rm -f "$home/live" ;;
    netstats) echo 'Mode: NORMAL' ;;
    version) echo 'ReleaseVersion: 5.0.5' ;;
    refreshsizeestimates) ;;
    flush)
        number=1
        for table in "$home/data/$2/$3"-*; do
            while [ -e "$table/nb-$number-big-Data.db" ]; do number=$((number + 1)); done
            [ -e "$home/live" ] && mkdir -p "$table/backups"
            # As Cassandra does: the TOC last, and the links of what is whole.
            for part in Data.db Statistics.db TOC.txt; do
                file=nb-$number-big-$part
                case $part in
                    TOC.txt) printf '%s\n' Data.db Statistics.db TOC.txt > "$table/$file" ;;
                    *) echo "$number" > "$table/$file" ;;
                esac
                [ -e "$home/live" ] && ln "$table/$file" "$table/backups/$file"
            done
        done
        ;;
    *)
        echo "nodetool: Found unexpected parameters: [$*]"
        exit 1
        ;;
esac
[ ! -e "$home/hang-$1" ] || exec sleep 600
exit 0
