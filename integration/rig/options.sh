# options.sh: what 'ring up' was asked for: options for all nodes, options for one node, and the file of settings each node gets.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC1090,SC1091,SC2016,SC2015

# Settings of a node, with what they are when nobody says otherwise. The first group are options of 'up' too.
declare -A DEFAULTS=(
  [version]=5.0.5 [format]='' [uuid]=0 [oa]=0 [data-dirs]=1 [user]=ops [sudo]=nopasswd [ssh-port]=22 [jmx-port]=7199
  [layout]=deb [incremental]=0 [auto-snapshot]=true [disk]=0
  [shell]=/bin/bash [path]='' [jmx-auth]=0 [groups]='' [sudo-only]=''
)
TOPOLOGY='dc1/r1,dc1/r2,dc1/r3'
NODES=3
WAIT=1
IPV6=0
TIMEOUT=0
VERSIONS=()
YAML_LINES=()
NODE_OPTS=()

parse_up() {
  local option value
  while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
      --uuid | --oa | --incremental) DEFAULTS[${option#--}]=1; continue ;;
      --ipv6) IPV6=1; continue ;;
      --no-wait) WAIT=0; continue ;;
      --*=*) value=${option#*=}; option=${option%%=*} ;;
      --*) [ $# -gt 0 ] || usage "up: $option wants a value"; value=$1; shift ;;
      *) usage "up: '$option' is not an option: see '$RING up --help'" ;;
    esac
    case $option in
      --lab) set_lab "$value" ;;
      --nodes) NODES=$value ;;
      --version) IFS=, read -ra VERSIONS <<<"$value" ;;
      --topology) TOPOLOGY=$value ;;
      --timeout) TIMEOUT=$value ;;
      --node-opt) NODE_OPTS+=("$value") ;;
      --yaml) [[ $value =~ ^[a-z_]+:' ' ]] || usage "up: --yaml wants 'key: value', not '$value'"; YAML_LINES+=("$value") ;;
      --format | --data-dirs | --user | --sudo | --ssh-port | --jmx-port | --layout | --auto-snapshot | --disk)
        DEFAULTS[${option#--}]=$value ;;
      *) usage "up: there is no option $option: see '$RING up --help'" ;;
    esac
  done
  # 200: the last number of the addresses begins at 11.
  [[ $NODES =~ ^[0-9]{1,3}$ ]] && [ "$NODES" -ge 1 ] && [ "$NODES" -le 200 ] || usage "up: --nodes is a number from 1 to 200, not '$NODES'"
  [[ $TIMEOUT =~ ^[0-9]+$ ]] || usage "up: --timeout is a number of seconds, not '$TIMEOUT'"
  [ "$TIMEOUT" -gt 0 ] || TIMEOUT=$((180 + 60 * NODES))
  local i
  for i in "${!VERSIONS[@]}"; do VERSIONS[i]=$(full_version "${VERSIONS[i]}") || exit; done
}

# Writes the settings of node $1 to its folder, as shell text; load_node reads them.
write_conf() {
  local n=$1 key opt places place
  local -A c
  for key in "${!DEFAULTS[@]}"; do c[$key]=${DEFAULTS[$key]}; done
  if [ ${#VERSIONS[@]} -gt 0 ]; then
    c[version]=${VERSIONS[n - 1 < ${#VERSIONS[@]} ? n - 1 : ${#VERSIONS[@]} - 1]}
  fi
  for opt in "${NODE_OPTS[@]}"; do
    [[ $opt =~ ^([0-9]+):([a-z-]+)=(.*)$ ]] || usage "up: --node-opt wants 'NODE:KEY=VALUE', not '$opt'"
    [ "${BASH_REMATCH[1]}" -ge 1 ] && [ "${BASH_REMATCH[1]}" -le "$NODES" ] || usage "up: --node-opt '$opt': there are $NODES nodes"
    key=${BASH_REMATCH[2]}
    [ -n "${DEFAULTS[$key]+there}" ] || usage "up: --node-opt '$opt': no setting is called '$key'; there are: $(printf '%s\n' "${!DEFAULTS[@]}" | sort | tr '\n' ' ')"
    [ "${BASH_REMATCH[1]}" != "$n" ] || c[$key]=${BASH_REMATCH[3]}
  done
  c[version]=$(full_version "${c[version]}") || exit
  [ "${c[sudo]}" != root ] || c[user]=root
  # Cassandra refuses bti as long as it has to be compatible with 4.x.
  [ "${c[format]}" != bti ] || c[oa]=1
  IFS=, read -ra places <<<"$TOPOLOGY"
  place=${places[(n - 1) % ${#places[@]}]}
  [[ $place == ?*/?* ]] || usage "up: --topology wants 'dc/rack,dc/rack,…', not '$place'"
  check_conf "$n"
  mkdir -p "$DIR/nodes/$n"
  {
    for key in "${!c[@]}"; do printf 'C_%s=%q\n' "$(tr a-z- A-Z_ <<<"$key")" "${c[$key]}"; done
    printf 'C_DC=%q\nC_RACK=%q\n' "${place%%/*}" "${place#*/}"
    if [ "$IPV6" = 1 ]; then printf 'C_ADDRESS=%s\n' "$NET6$((10 + n))"; else printf 'C_ADDRESS=%s\n' "$NET4.$((10 + n))"; fi
    case ${c[layout]} in
      deb) printf 'C_CONF=/etc/cassandra C_HOME=/usr/share/cassandra C_BIN=/usr/bin C_VAR=/var/lib/cassandra\n' ;;
      rpm) printf 'C_CONF=/etc/cassandra/conf C_HOME=/usr/share/cassandra C_BIN=/usr/bin C_VAR=/var/lib/cassandra\n' ;;
      tarball) key=/opt/apache-cassandra-${c[version]}
        printf 'C_CONF=%s/conf C_HOME=%s C_BIN=%s/bin C_VAR=%s/data\n' "$key" "$key" "$key" "$key" ;;
    esac
  } >"$DIR/nodes/$n/conf"
}

# Says no to what cannot work, before anything is started. Reads c of write_conf.
check_conf() {
  local key on="up: node $1"
  one_of() { [[ " $3 " == *" $2 "* ]] || usage "$on: $1 is one of $3, not '$2'"; }
  one_of sudo "${c[sudo]}" 'nopasswd password none denied root'
  one_of layout "${c[layout]}" 'deb rpm tarball'
  one_of auto-snapshot "${c[auto-snapshot]}" 'true false'
  [ -z "${c[format]}" ] || one_of format "${c[format]}" 'big bti'
  [ -z "${c[path]}" ] || one_of path "${c[path]}" hidden
  for key in data-dirs ssh-port jmx-port disk uuid oa incremental jmx-auth; do
    [[ ${c[$key]} =~ ^[0-9]{1,5}$ ]] || usage "$on: $key is a number, not '${c[$key]}'"
  done
  [ "${c[data-dirs]}" -ge 1 ] || usage "$on: at least one data directory is needed"
  [ "${c[disk]}" = 0 ] || [ "${c[disk]}" -ge 100 ] || usage "$on: --disk ${c[disk]}: Cassandra has trouble to start with less than 100 MB"
  [[ ${c[user]} =~ ^[a-z][a-z0-9_-]*$ ]] && [ "${c[user]}" != cassandra ] || usage "$on: '${c[user]}' is no name for the SSH user"
  [ -x "${c[shell]}" ] || usage "$on: the shell ${c[shell]} is not installed on this host: install it (Debian packages fish, tcsh, zsh …), or leave the option out"
  [ "${c[path]}" != hidden ] || [ "${c[layout]}" = tarball ] || usage "$on: path=hidden goes with layout=tarball only"
  case ${c[version]} in
    5.*) ;;
    *)
      [ "${c[format]}" != bti ] || usage "$on: format bti needs Cassandra 5.0, and this node has ${c[version]}"
      [ "${c[oa]}" = 0 ] || usage "$on: --oa needs Cassandra 5.0, and this node has ${c[version]}" ;;
  esac
  case ${c[version]} in 4.0.*) [ "${c[uuid]}" = 0 ] || usage "$on: --uuid needs Cassandra 4.1, and this node has ${c[version]}" ;; esac
}
