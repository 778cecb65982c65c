//! What is true of a node, learnt by other means than ringhaul's: Python over its files, CQL for
//! the ring and the tables, the rig's own nodetool for the flags.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::lab::{self, Lab};

/// What the story knows of a node because it made it so.
pub(crate) struct Made {
    pub(crate) node: u8,
    pub(crate) data: &'static [&'static str],
    pub(crate) config: &'static str,
    /// Whether the account may look at the data.
    pub(crate) files: bool,
}

/// Counts sets, snapshots and left folders. Arguments: folders of data, a dash, then
/// `keyspace/table-id` of every table that there is.
const COUNT: &str = r#"
import json, os, re, sys, time
dash = sys.argv.index('-')
roots, tables = sys.argv[1:dash], set(sys.argv[dash + 1:])

def when(seconds):
    return None if seconds is None else time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(seconds))

def files(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            yield where, name, os.stat(os.path.join(where, name))

def held(stat):
    return stat.st_size if stat.st_nlink == 1 else 0

backups = dict(sets=0, incomplete_sets=0, bytes=0, held_bytes=0, oldest=None, newest=None)
kinds, left = {}, {}
for root in roots:
    for keyspace in sorted(os.listdir(root)):
        for folder in sorted(os.listdir(os.path.join(root, keyspace))):
            here = os.path.join(root, keyspace, folder)
            table, _, _ = folder.rpartition('-')
            sets = {}
            for where, name, stat in files(os.path.join(here, 'backups')):
                backups['bytes'] += stat.st_size
                backups['held_bytes'] += held(stat)
                parts = name.split('-', 3)
                if len(parts) == 4:
                    one = sets.setdefault((where, '-'.join(parts[:3])), {})
                    one[parts[3]] = int(stat.st_mtime)
            for (where, descriptor), components in sets.items():
                wanted = None
                if 'TOC.txt' in components:
                    wanted = open(os.path.join(where, descriptor + '-TOC.txt')).read().split()
                whole = wanted and all(os.path.exists(os.path.join(where, descriptor + '-' + c)) for c in wanted)
                backups['sets' if whole else 'incomplete_sets'] += 1
                for made in components.values():
                    backups['oldest'] = min(made, backups['oldest'] or made)
                    backups['newest'] = max(made, backups['newest'] or made)
            shots = os.path.join(here, 'snapshots')
            total = sum(stat.st_size for _, _, stat in files(os.path.join(here, 'backups')))
            tags = sorted(os.listdir(shots)) if os.path.isdir(shots) else []
            for tag in tags:
                found = re.fullmatch(r'(dropped|truncated)-(\d{13})-(.*)', tag)
                if found and found.group(3) == table:
                    kind, taken = found.group(1), int(found.group(2)) // 1000
                else:
                    kind, taken = 'user', int(os.stat(os.path.join(shots, tag)).st_mtime)
                one = kinds.setdefault(kind, dict(tags=set(), bytes=0, held=0, times=[]))
                one['tags'].add(tag)
                one['times'].append(taken)
                for _, _, stat in files(os.path.join(shots, tag)):
                    one['bytes'] += stat.st_size
                    one['held'] += held(stat)
                    total += stat.st_size
            if not keyspace.startswith('system') and keyspace + '/' + folder not in tables:
                old = left.setdefault((keyspace, folder), dict(bytes=0, sets=0, evidence='newer_folder'))
                old['bytes'] += total
                old['sets'] += len(sets)
                if any(re.fullmatch(r'dropped-\d{13}-' + re.escape(table), tag) for tag in tags):
                    old['evidence'] = 'dropped_snapshot'

backups['oldest'], backups['newest'] = when(backups['oldest']), when(backups['newest'])
snapshots = [
    dict(kind=kind, count=len(one['tags']), bytes=one['bytes'], held_bytes=one['held'],
         oldest=when(min(one['times'])), newest=when(max(one['times'])), names=sorted(one['tags']))
    for kind in ('user', 'dropped', 'truncated') for one in [kinds.get(kind)] if one]
left_overs = [dict(keyspace=k, folder=f, **left[k, f]) for k, f in sorted(left)]
disks = {}
for root in roots:
    mount = os.path.realpath(root)
    while not os.path.ismount(mount):
        mount = os.path.dirname(mount)
    disk = os.statvfs(root)
    disks[mount] = dict(mount=mount, size=disk.f_blocks * disk.f_frsize // 1024 * 1024)
print(json.dumps(dict(backups=backups, snapshots=snapshots, left_overs=left_overs,
                      disks=sorted(disks.values(), key=lambda disk: disk['mount']))))
"#;

/// Returns the numbers of a node's files: `backups`, `snapshots`, `left_overs`, `disks`.
#[track_caller]
fn count(lab: &Lab, made: &Made, tables: &[String]) -> Value {
    let node = made.node.to_string();
    let mut arguments = vec![node.as_str(), "--", "python3", "-c", COUNT];
    arguments.extend(made.data);
    arguments.push("-");
    arguments.extend(tables.iter().map(String::as_str));
    let counted = lab.ring("exec", &arguments);
    serde_json::from_str(&counted).unwrap_or_else(|error| panic!("{error}: {counted}"))
}

/// Returns what an audit should say of these nodes: every fact, but for free space.
#[track_caller]
pub(crate) fn of(lab: &Lab, nodes: &[Made]) -> BTreeMap<u8, Value> {
    let tables: Vec<String> = rows(lab, 1, "keyspace_name, table_name, id", "system_schema.tables")
        .iter()
        .map(|row| {
            let id = text(row, "id").replace('-', "");
            format!("{}/{}-{id}", text(row, "keyspace_name"), text(row, "table_name"))
        })
        .collect();
    let facts = |made: &Made| {
        let place = rows(lab, made.node, "host_id, data_center, rack", "system.local");
        let place = place.first().expect("system.local has a row");
        let live = match lab.nodetool(made.node, &["statusbackup"]).trim() {
            "running" => true,
            "not running" => false,
            other => panic!("nodetool statusbackup said {other}"),
        };
        let written = format!("awk '/^incremental_backups:/ {{ print $2 }}' {}", made.config);
        let configured = lab.on(made.node, &written).trim() == "true";
        let version = lab.nodetool(made.node, &["version"]);
        let address = lab::address(made.node);
        let mut facts = Map::from_iter([
            ("name".to_owned(), json!(address)),
            ("address".to_owned(), json!(address)),
            ("host_id".to_owned(), place["host_id"].clone()),
            ("dc".to_owned(), place["data_center"].clone()),
            ("rack".to_owned(), place["rack"].clone()),
            ("ring_state".to_owned(), json!("UN")),
            ("version".to_owned(), json!(version.trim().trim_start_matches("ReleaseVersion: "))),
            ("live".to_owned(), json!(live)),
            ("configured".to_owned(), json!(configured)),
            ("config_file".to_owned(), json!(made.config)),
            ("verdict".to_owned(), json!(verdict(live, configured))),
            ("reason_kind".to_owned(), Value::Null),
        ]);
        let files = if made.files { count(lab, made, &tables) } else { Value::Null };
        for name in FILES {
            facts.insert(name.to_owned(), files[name].clone());
        }
        (made.node, Value::Object(facts))
    };
    nodes.iter().map(facts).collect()
}

/// Facts that need a look at the files.
const FILES: [&str; 4] = ["backups", "snapshots", "left_overs", "disks"];

/// Asserts that an audit's row says of a node just what is true; prints what differs alone.
#[track_caller]
pub(crate) fn assert_told(row: &Value, truth: &Value) {
    let mut differs = String::new();
    for (name, is) in truth.as_object().into_iter().flatten() {
        let mut told = row[name].clone();
        for disk in told.as_array_mut().into_iter().flatten().filter(|_| name == "disks") {
            // It is another from one moment to the next.
            let free = disk.as_object_mut().and_then(|disk| disk.remove("free"));
            assert!(free.is_some_and(|free| free.is_u64()), "no free space in {row:#}");
        }
        if told != *is {
            differs += &format!("\n{name} was told as {told:#}\nand is {is:#}");
        }
    }
    assert!(differs.is_empty(), "node {}:{differs}", row["name"]);
}

fn verdict(live: bool, configured: bool) -> &'static str {
    match (live, configured) {
        (true, true) => "enabled",
        (false, false) => "disabled",
        (true, false) => "lost_at_restart",
        (false, true) => "on_at_restart",
    }
}

/// Returns the rows of a table as Cassandra writes them in JSON.
#[track_caller]
fn rows(lab: &Lab, node: u8, columns: &str, table: &str) -> Vec<Value> {
    let asked = format!("PAGING OFF; SELECT JSON {columns} FROM {table};");
    let answer = lab.ring("cql", &[&node.to_string(), &asked]);
    let lines = answer.lines().map(str::trim).filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).expect("Cassandra writes JSON")).collect()
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_default()
}
