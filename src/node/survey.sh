# What ringhaul asks a node in one go: process, cassandra.yaml, disks. It only looks. POSIX sh with
# coreutils alone. A walk over the data folders follows it: survey_walk.sh or sets.sh.
#
# Arguments: sudo (auto, never, always), JMX port or '', cassandra.yaml or '', data folders ...
# Answer: segments between NULs, each a word, a space, and a value. A reader that knows no word
# of a later version can pass over it; a cut stream leaves what came before it whole.

sudo=$1 jmx_port=${2:-7199} yaml=$3 given=$3
shift 3

say now "$(date +%s)"
tool=$(command -v nodetool) && say nodetool "$tool"

# The running Cassandra: the one whose JMX port is ours, or the only one. One program reads the
# names of all processes, and only those that may be it are looked at further.
names=$(head -v -n 1 /proc/[0-9]*/comm 2>/dev/null)
processes=0 matches=0 pid='' other='' dir='' args='' rest=''
[ -n "$names" ] && { read -r init < /proc/1/comm; } 2>/dev/null || say hidden yes
set -f
IFS=$nl
for line in $names; do
    case $line in
        '==> /proc/'*) dir=${line#'==> '} dir=${dir%%/comm*}; continue ;;
        java | jsvc* | *assandra*) ;;
        *) continue ;;
    esac
    line=$(tr '\000' '\n' < "$dir/cmdline") 2>/dev/null || continue
    case $line in *org.apache.cassandra.service.CassandraDaemon*) ;; *) continue ;; esac
    processes=$((processes + 1))
    other=${dir#/proc/}
    # Without any JMX port in its arguments it listens on the default one.
    case "$line$nl" in
        *jmx*port="$jmx_port$nl"*) ;;
        *jmx*port=*) rest=$line; continue ;;
        *) [ "$jmx_port" = 7199 ] || { rest=$line; continue; } ;;
    esac
    matches=$((matches + 1)) pid=$other args=$line
done
unset IFS
set +f
# Two on one port: containers, other addresses, or somebody who poses as Cassandra. None is taken.
[ "$matches" -gt 1 ] && pid=''
[ "$matches" = 0 ] && [ "$processes" = 1 ] && pid=$other args=$rest
say processes "$processes"

config='' storage='' path='' home=''
if [ -n "$pid" ]; then
    say pid "$pid"
    { read -r stat < "/proc/$pid/stat" && say stat "$stat"; } 2>/dev/null
    { read -r uptime < /proc/uptime && say uptime "$uptime"; } 2>/dev/null
    set -f
    IFS=$nl
    previous=''
    for arg in $args; do
        case $previous in -cp | -classpath | --class-path) path=$arg ;; esac
        previous=$arg
        # Only what is needed leaves the node: other arguments may hold passwords.
        case $arg in
            -Dcassandra.config=*) config=${arg#*=} ;;
            -Dcassandra.storagedir=*) storage=${arg#*=} ;;
        esac
        case $arg in
            -Dcassandra.config=* | -Dcassandra.storagedir=* | -Dcassandra.jmx.*port=* | \
                -Dcom.sun.management.jmxremote.port=* | \
                -Dcassandra.settings.incremental_backups=* | \
                -Dcassandra.config.allow_system_properties=*) say arg "$arg" ;;
        esac
    done
    IFS=:
    folders=''
    for entry in $path; do
        case $entry in
            */apache-cassandra-[0-9]*.jar | */cassandra-all-[0-9]*.jar) jars=$entry ;;
            */\*) jars="${entry%\*}apache-cassandra-[0-9]*.jar:${entry%\*}cassandra-all-[0-9]*.jar" ;;
            *.jar) continue ;;
            *) folders=${folders:+$folders:}$entry; continue ;;
        esac
        set +f
        for jar in $jars; do
            [ -e "$jar" ] || continue
            say jar "$jar"
            home=${jar%/*}
            home=${home%/lib}
        done
        set -f
    done
    # Only what root, Cassandra or we ourselves put there is run.
    if [ -n "$home" ] && [ -x "$home/bin/nodetool" ]; then
        case $(stat -L -c %U "$home/bin/nodetool") in
            root | cassandra | "$(id -un)") say nodetool "$home/bin/nodetool" ;;
        esac
    fi
    # Cassandra takes cassandra.config as a URL, or as a name to be found on its class path.
    name=cassandra.yaml
    case $config in
        file:///*) found=${config#file://} ;;
        file:/*) found=${config#file:} ;;
        /*) found=$config ;;
        *) found='' name=${config:-cassandra.yaml} ;;
    esac
    for folder in $folders; do
        case $folder in /*) ;; *) folder=/proc/$pid/cwd/$folder ;; esac
        [ -z "$found" ] && [ -e "$folder/$name" ] && found=$folder/$name
    done
    yaml=${yaml:-$found}
    unset IFS
    set +f
fi

# Who listens: the kernel lists these sockets first. A drained Cassandra no longer talks to the
# others, and shows itself up all the same.
say listen "$(head -q -n 40 /proc/net/tcp /proc/net/tcp6 2>/dev/null)"

# Nothing runs: the places where packages and tarballs put it. Of a process that runs, only its
# own file counts.
if [ -z "$yaml" ] && [ "$processes" = 0 ]; then
    beside=''
    [ -n "$tool" ] && beside=$(readlink -f "$tool") && beside=${beside%/bin/*}/conf
    for file in "${CASSANDRA_CONF:-/nowhere}/cassandra.yaml" /etc/cassandra/cassandra.yaml \
        /etc/cassandra/conf/cassandra.yaml /etc/cassandra/default.conf/cassandra.yaml \
        "${CASSANDRA_HOME:-/nowhere}/conf/cassandra.yaml" "${beside:-/nowhere}/cassandra.yaml" \
        /opt/cassandra/conf/cassandra.yaml /opt/apache-cassandra*/conf/cassandra.yaml \
        /usr/local/cassandra/conf/cassandra.yaml; do
        [ -f "$file" ] || { [ -d "${file%/*}" ] && [ ! -x "${file%/*}" ]; } || continue
        if [ -z "$yaml" ]; then
            yaml=$file
            say yaml-candidate "$file"
        elif [ ! "$file" -ef "$yaml" ]; then
            say yaml-candidate "$file"
        fi
    done
fi

text=''
if [ -n "$yaml" ]; then
    say yaml "$yaml"
    may=no
    [ -r "$yaml" ] && may=yes
    # A process can name any file as its settings: root reads only what the inventory names, or
    # what lies where packages put it.
    case $yaml in "$given") ;; */../*) may=yes ;; /etc/cassandra/*) ;; *) may=yes ;; esac
    # sudo may grumble on standard error and still do it, so errors are asked for apart.
    if text=$(as_allowed "$may" cat "$yaml" 2>/dev/null); then
        say yaml-text "$text"
    else
        text=''
        say yaml-error "$(as_allowed "$may" cat "$yaml" 2>&1 >/dev/null)"
    fi
fi

# The data folders, unless given. The controller reads the same text with a real YAML reader and
# asks again if this plain one was wrong.
if [ $# = 0 ]; then
    set -f
    IFS=$nl
    inside=''
    for line in $text; do
        case $line in \#*) continue ;; esac
        value=''
        case $line in
            data_file_directories:*) inside=yes ;;
            local_system_data_file_directory:*) inside='' value=${line#*:} ;;
            [!\ \	#-]*) inside='' ;;
            *-\ *) [ -n "$inside" ] && case $line in *\#*-\ *) ;; *) value=${line#*- } ;; esac ;;
        esac
        [ -n "$value" ] || continue
        value=${value%%[ 	]#*}
        unset IFS
        for word in $value; do
            word=${word%[[:cntrl:]]}
            word=${word#[\"\']}
            word=${word%[\"\']}
            # find would take another word for an option; the controller says what is wrong.
            case $word in /*) set -- "$@" "${word%/}" ;; esac
            break
        done
        IFS=$nl
    done
    unset IFS
    set +f
fi
if [ $# = 0 ]; then
    case $storage in
        /*) set -- "$storage/data" ;;
        *) case $yaml in
            '' | /etc/*) set -- /var/lib/cassandra/data ;;
            */conf/*) set -- "${yaml%/conf/*}/data/data" ;;
            *) set -- /var/lib/cassandra/data ;;
        esac ;;
    esac
fi
may=yes
for folder in "$@"; do
    say data "$folder"
    [ -r "$folder" ] && [ -x "$folder" ] || { may=no; continue; }
    for keyspace in "$folder"/*/; do
        case $keyspace in */lost+found/ | *'/*/') continue ;; esac
        [ -r "$keyspace" ] && [ -x "$keyspace" ] || { may=no; break; }
    done
done
if disks=$(as_allowed "$may" df -Pk -- "$@" 2>/dev/null); then
    say df "$disks"
else
    say df-error "$(as_allowed "$may" df -Pk -- "$@" 2>&1 >/dev/null)"
fi
