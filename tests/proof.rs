//! The proof of links on this machine: real `find` and coreutils, a tree of files made here, and a
//! stub `nodetool` that flushes as Cassandra does, or does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "common/local.rs"]
mod local;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use local::Local;
use ringhaul::cassandra::fact::{Fact, Why, WhyKind};
use ringhaul::cassandra::links::MadeSet;
use ringhaul::cassandra::proof::{Proof, Seen};
use ringhaul::cassandra::table_name::TableName;
use ringhaul::inventory::{NodeSpec, Sudo};
use ringhaul::node::Endpoint;
use ringhaul::node::catalog::Nodetool;
use ringhaul::node::deep::{DeepProgress, deep};
use ringhaul::node::proof::{Ask, clean_up, prove, prove_all};
use ringhaul::node::survey::{Limits, survey};
use ringhaul::node::uncovered::{From, uncovered};

const ID: &str = "6a1adbe06a0211f184742b61a3e0ec16";
const LATER_ID: &str = "f7146460e54c11f19cc7876c33cf10d3";

const LIMITS: Limits = Limits { nodetool: Duration::from_secs(20), files: Duration::from_secs(30) };

/// What the stub's `flush` can do; `$d` is the table's folder.
const LIVE: &str = "make() { mkdir -p $d/backups
    for c in Data.db Statistics.db Filter.db Digest.crc32; do echo $1 $$ $c > $d/$1-$c; done
    printf 'Data.db\\nStatistics.db\\nFilter.db\\nDigest.crc32\\nTOC.txt\\n' > $d/$1-TOC.txt; }
link() { for f in $d/$1-*; do ln $f $d/backups/ 2>/dev/null; done; }
";

/// A node's file system in a folder of its own.
struct Tree {
    root: tempfile::TempDir,
    spec: NodeSpec,
    data: Vec<String>,
}

impl Tree {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = vec![root.path().join("data").to_str().unwrap().to_owned()];
        let at = Endpoint { host: "here".into(), ..Endpoint::default() };
        let spec = NodeSpec { sudo: Sudo::Never, ..NodeSpec::at(at) };
        let tree = Self { root, spec, data };
        tree.folder(&format!("data/system/size_estimates-{ID}/backups"));
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    fn write(&self, path: &str, text: &[u8]) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// Makes `nodetool`, which does `flush` to the table folder `folder` on flush.
    fn nodetool(&self, folder: &str, flush: &str) {
        let folder = self.path(folder);
        let asked = self.path("asked");
        let text = format!(
            "#!/bin/sh\necho \"$*\" >> '{}'\nd='{}'\n{LIVE}case $1 in flush) {flush}\n;; esac\n",
            asked.display(),
            folder.display()
        );
        self.write("bin/nodetool", text.as_bytes());
        fs::set_permissions(self.path("bin/nodetool"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn door(&self) -> Local {
        Local { bin: self.path("bin") }
    }

    /// Proves with a wait of two seconds.
    async fn prove(&self, table: Option<&str>) -> Result<Proof, Why> {
        let tool = Nodetool::new(&self.spec, LIMITS.nodetool);
        let table = table.map(|table| TableName::parse(table).unwrap());
        prove(&self.door(), &self.ask(&tool, table.as_ref())).await
    }

    fn ask<'a>(&'a self, tool: &'a Nodetool, table: Option<&'a TableName>) -> Ask<'a> {
        let wait = Duration::from_secs(2);
        Ask { spec: &self.spec, tool, data_dirs: &self.data, table, wait, limits: LIMITS }
    }
}

fn own() -> String {
    format!("data/system/size_estimates-{ID}")
}

fn linked(proof: Result<Proof, Why>) -> MadeSet {
    match proof {
        Ok(Proof { seen: Seen::Linked { set }, .. }) => set,
        other => panic!("not linked: {other:?}"),
    }
}

fn not_linked(proof: Result<Proof, Why>) -> String {
    match proof {
        Ok(Proof { seen: Seen::NotLinked { why }, .. }) => why,
        other => panic!("not 'not linked': {other:?}"),
    }
}

#[tokio::test]
async fn a_set_that_appears_whole_is_linked_and_can_be_taken_away_again() {
    let tree = Tree::new();
    tree.nodetool(&own(), "make nb-1-big; link nb-1-big");
    tree.write(&format!("{}/backups/nb-0-big-Data.db", own()), b"older");
    let set = linked(tree.prove(None).await);
    assert_eq!(tree.asked(), ["refreshsizeestimates", "flush system size_estimates"]);
    assert_eq!(set.folder, tree.path(&own()).join("backups").to_str().unwrap());
    assert_eq!((set.descriptor.as_str(), set.is_seen_linked), ("nb-1-big", true));
    assert_eq!(set.components.len(), 5);
    let data = fs::metadata(tree.path(&format!("{}/nb-1-big-Data.db", own()))).unwrap();
    let first = &set.components[0];
    assert_eq!((first.name.as_str(), first.inode), ("nb-1-big-Data.db", data.ino()));

    let json = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<MadeSet>(&json).unwrap(), set);
    let removed = clean_up(&tree.door(), &tree.spec, &set, LIMITS.files).await;
    assert_eq!(removed, Ok(5));
    let left: Vec<_> = fs::read_dir(&set.folder).unwrap().collect();
    assert_eq!(left.len(), 1, "the older set is left alone");
    assert!(tree.path(&format!("{}/nb-1-big-Data.db", own())).exists(), "the live one stays");
    let again = clean_up(&tree.door(), &tree.spec, &set, LIMITS.files).await;
    assert_eq!(again, Ok(0), "what is gone is no fault");
}

#[tokio::test]
async fn links_that_come_in_pieces_are_waited_for() {
    let tree = Tree::new();
    let slowly = "make nb-1-big; (exec >/dev/null 2>&1; for f in Data.db TOC.txt Digest.crc32 \
        Statistics.db Filter.db; do sleep 0.2; ln $d/nb-1-big-$f $d/backups/; done) &";
    tree.nodetool(&own(), slowly);
    assert_eq!(linked(tree.prove(None).await).components.len(), 5);
}

#[tokio::test]
async fn no_links_copies_and_torn_sets_are_not_linked_and_say_what_lacks() {
    for (flush, said) in [
        ("make nb-1-big", "nb-1-big is live and not in backups"),
        (
            "make nb-1-big; cp -p $d/nb-1-big-* $d/backups/",
            "nb-1-big in backups is no link to the live one: Data.db, Statistics.db, Filter.db, \
             Digest.crc32, TOC.txt",
        ),
        (
            "make nb-1-big; for f in $d/nb-1-*; do ln -s $f $d/backups/; done",
            "nb-1-big in backups is no link to the live one: Data.db, Statistics.db, Filter.db, \
             Digest.crc32, TOC.txt",
        ),
        (
            "make nb-1-big; link nb-1-big; rm $d/backups/nb-1-big-Filter.db",
            "nb-1-big in backups lacks Filter.db",
        ),
        (
            "make nb-1-big; link nb-1-big; rm $d/backups/nb-1-big-TOC.txt",
            "nb-1-big in backups has no TOC.txt",
        ),
    ] {
        let tree = Tree::new();
        tree.nodetool(&own(), flush);
        assert_eq!(not_linked(tree.prove(None).await), said, "{flush}");
    }
}

#[tokio::test]
async fn a_name_that_comes_back_with_other_content_is_a_new_set() {
    let tree = Tree::new();
    let again = "rm -f $d/nb-1-* $d/backups/nb-1-*; make nb-1-big; link nb-1-big";
    tree.nodetool(&own(), again);
    let first = linked(tree.prove(None).await);
    let second = linked(tree.prove(None).await);
    assert_eq!(first.descriptor, second.descriptor);
    assert_ne!(first, second);
    // The first one's names are there, and they are other files: nothing is taken away.
    let refused = clean_up(&tree.door(), &tree.spec, &first, LIMITS.files).await;
    assert!(refused.unwrap_err().text.contains("is not the file any more"), "refused");
    assert_eq!(fs::read_dir(&second.folder).unwrap().count(), 5);
}

#[tokio::test]
async fn a_set_of_an_earlier_flush_proves_nothing() {
    let tree = Tree::new();
    tree.nodetool(&own(), "make nb-1-big; link nb-1-big");
    linked(tree.prove(None).await);
    tree.nodetool(&own(), ":");
    let proof = tree.prove(None).await.unwrap();
    assert_eq!(proof.seen, Seen::NothingToFlush);
    assert!(!proof.needs_another(), "there is no other one to make");
}

#[tokio::test]
async fn a_table_that_had_nothing_to_flush_is_proved_by_another() {
    let tree = Tree::new();
    tree.folder(&format!("data/shop/orders-{ID}"));
    tree.nodetool(&own(), "[ $2 = shop ] || { make nb-1-big; link nb-1-big; }");
    let tool = Nodetool::new(&tree.spec, LIMITS.nodetool);
    let table = TableName::parse("shop.orders").unwrap();
    let proofs = prove_all(&tree.door(), &tree.ask(&tool, Some(&table))).await;
    let [Ok(first), second] = <[_; 2]>::try_from(proofs).unwrap() else { panic!("no proof") };
    assert_eq!((first.table, first.seen), (table, Seen::NothingToFlush));
    assert!(second.as_ref().unwrap().is_own_table);
    linked(second);
    assert_eq!(
        tree.asked(),
        ["flush shop orders", "refreshsizeestimates", "flush system size_estimates"]
    );
}

#[tokio::test]
async fn folders_are_told_by_structure_in_every_data_folder() {
    let mut tree = Tree::new();
    tree.data.push(tree.path("more data").to_str().unwrap().to_owned());
    // A keyspace named `backups`, a table named `snapshots`, made, dropped and made again.
    tree.folder(&format!("data/backups/snapshots-{ID}/backups"));
    let folder = format!("more data/backups/snapshots-{LATER_ID}");
    tree.folder(&folder);
    tree.folder(&format!("data/backups/snapshots_too-{ID}"));
    let spaced = LIVE.replace("$d", "\"$d\"");
    tree.nodetool(&folder, &format!("\n{spaced}make nb-1-big"));
    let said = not_linked(tree.prove(Some("backups.snapshots")).await);
    assert_eq!(said, "nb-1-big is live and not in backups");
    let link = "for f in \"$d\"/nb-2-big-*; do ln \"$f\" \"$d/backups/\"; done";
    tree.nodetool(&folder, &format!("\n{spaced}make nb-2-big; {link}"));
    let set = linked(tree.prove(Some("backups.snapshots")).await);
    assert_eq!(set.folder, tree.path(&folder).join("backups").to_str().unwrap());
}

#[tokio::test]
async fn an_index_has_to_be_linked_too() {
    let tree = Tree::new();
    let folder = format!("data/shop/orders-{ID}");
    let with_index = "make nb-1-big; link nb-1-big; t=$d; d=$t/.idx; make nb-1-big";
    tree.folder(&folder);
    tree.nodetool(&folder, with_index);
    let said = not_linked(tree.prove(Some("shop.orders")).await);
    assert_eq!(said, ".idx/nb-1-big is live and not in backups");
    let linking = "mkdir -p $t/backups/.idx; for f in $d/nb-*; do ln -f $f $t/backups/.idx; done; \
         rm -r $d/backups";
    tree.nodetool(&folder, &format!("rm $d/nb* $d/backups/nb*; {with_index}; {linking}"));
    let set = linked(tree.prove(Some("shop.orders")).await);
    assert!(set.folder.ends_with("/backups"), "{set:?}");
}

#[tokio::test]
async fn a_compaction_is_not_taken_for_a_flush_without_links() {
    let tree = Tree::new();
    let folder = format!("data/shop/orders-{ID}");
    tree.folder(&folder);
    // The flush is linked; a compaction takes all live ones away and leaves one of its own.
    tree.nodetool(&folder, "make nb-$$-big; link nb-$$-big; rm -f $d/nb-*; make nb-7$$-big");
    let set = linked(tree.prove(Some("shop.orders")).await);
    assert!(!set.is_seen_linked, "the live one was gone, and that is told");
    // The same once, and then nothing more to flush: what the first showed stands.
    let once = "[ -e $d/once ] || { make nb-6-big; link nb-6-big; rm -f $d/nb-*; : > $d/once; }";
    tree.nodetool(&folder, once);
    assert_eq!(linked(tree.prove(Some("shop.orders")).await).descriptor, "nb-6-big");
    tree.write(&format!("{folder}/nb-1-big-Data.db"), b"older");
    // Nothing flushed, and a compaction each time: it cannot be told.
    tree.nodetool(&folder, "rm -f $d/nb-*; make nb-8$$-big");
    let why = tree.prove(Some("shop.orders")).await.unwrap_err();
    assert!(why.text.contains("was compacted while"), "{why}");
    // Once alone: the second flush tells.
    tree.nodetool(&folder, "[ -e $d/done ] || { rm -f $d/nb-*; make nb-9-big; : > $d/done; }");
    assert_eq!(tree.prove(Some("shop.orders")).await.unwrap().seen, Seen::NothingToFlush);
}

#[tokio::test]
async fn an_sstable_that_is_being_written_is_none_yet() {
    let tree = Tree::new();
    let folder = format!("data/shop/orders-{ID}");
    tree.folder(&folder);
    tree.nodetool(&folder, "make nb-5-big; rm $d/nb-5-big-TOC.txt");
    assert_eq!(tree.prove(Some("shop.orders")).await.unwrap().seen, Seen::NothingToFlush);
}

#[tokio::test]
async fn what_nodetool_refuses_is_unknown_and_clear() {
    let tree = Tree::new();
    tree.folder(&format!("data/shop/orders-{ID}"));
    for (flush, kind, said) in [
        (
            "echo 'error: Unknown keyspace/cf pair (shop.nosuch)\n-- StackTrace --\n\tat x' >&2; exit 2",
            WhyKind::NoSuchTable,
            "Cassandra knows no such table: error: Unknown keyspace/cf pair (shop.nosuch)",
        ),
        (
            "echo 'nodetool: Keyspace [nosuch] does not exist.\nSee help'; exit 1",
            WhyKind::NoSuchTable,
            "Cassandra knows no such table: nodetool: Keyspace [nosuch] does not exist.",
        ),
        (
            "echo 'error: MemtablePostFlush has shut down\n-- StackTrace --' >&2; exit 2",
            WhyKind::CassandraDown,
            "the node is drained: it flushes nothing",
        ),
        (
            "echo \"nodetool: Failed to connect - 'Connection refused'.\" >&2; exit 1",
            WhyKind::CassandraDown,
            "JMX refused: Cassandra is not running, or JMX is on another port",
        ),
    ] {
        tree.nodetool("data", flush);
        let why = tree.prove(Some("shop.orders")).await.unwrap_err();
        assert_eq!((why.kind, why.text.as_str()), (kind, said));
    }
    tree.nodetool("data", ":");
    let why = tree.prove(Some("shop.elsewhere")).await.unwrap_err();
    assert_eq!(why.text, "no data folder holds a folder of shop.elsewhere");
}

#[tokio::test]
async fn clean_up_takes_away_nothing_but_components_in_backups() {
    let tree = Tree::new();
    tree.nodetool(&own(), "make nb-1-big; link nb-1-big");
    let set = linked(tree.prove(None).await);
    let changed = |change: &dyn Fn(&mut MadeSet)| {
        let mut other = set.clone();
        change(&mut other);
        other
    };
    let live = tree.path(&own()).to_str().unwrap().to_owned();
    for other in [
        changed(&|set| set.folder = live.clone()),
        changed(&|set| set.folder = format!("{live}/backups/../../x-{ID}/backups")),
        changed(&|set| set.folder = "/data/backups".to_owned()),
        changed(&|set| set.components[1].name = "../nb-1-big-Data.db".to_owned()),
        changed(&|set| set.components[1].name = "*".to_owned()),
        changed(&|set| set.components[1].name = "nb-2-big-Data.db".to_owned()),
        changed(&|set| set.components[4].inode += 1),
        changed(&|set| set.components[4].size += 1),
        changed(&|set| set.components[4].modified += 1),
    ] {
        let refused = clean_up(&tree.door(), &tree.spec, &other, LIMITS.files).await;
        assert!(refused.is_err(), "{other:?}");
        assert_eq!(fs::read_dir(&set.folder).unwrap().count(), 5, "{other:?}");
    }
    // A folder under the name of a component, even an empty one, stays.
    let name = format!("{}/nb-1-big-TOC.txt", set.folder);
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    let at = fs::metadata(&name).unwrap();
    let folder = changed(&|set| {
        let toc = set.components.iter_mut().find(|one| one.name.ends_with("TOC.txt")).unwrap();
        (toc.inode, toc.size) = (at.ino(), at.size());
    });
    assert!(clean_up(&tree.door(), &tree.spec, &folder, LIMITS.files).await.is_err());
    assert_eq!(fs::read_dir(&set.folder).unwrap().count(), 5);
}

fn set_with_digest(tree: &Tree, folder: &str, descriptor: &str, data: &[u8]) {
    tree.write(&format!("{folder}/{descriptor}-Data.db"), data);
    let digest = crc32fast::hash(data).to_string();
    tree.write(&format!("{folder}/{descriptor}-Digest.crc32"), digest.as_bytes());
}

#[tokio::test]
async fn data_of_every_size_is_compared_with_its_digest() {
    let mut tree = Tree::new();
    tree.data = ["one", "t w o"].map(|dir| tree.path(dir).to_str().unwrap().to_owned()).into();
    let backups = format!("one/shop/orders-{ID}/backups");
    let long: Vec<u8> = (0..300_000_u32).map(|n| ((n ^ (n >> 7)) & 0xff) as u8).collect();
    set_with_digest(&tree, &backups, "nb-1-big", b"");
    set_with_digest(&tree, &backups, "nb-2-big", b"x");
    set_with_digest(&tree, &backups, "nb-3-big", &(0..=255).collect::<Vec<u8>>());
    set_with_digest(&tree, &format!("{backups}/.idx"), "nb-1-big", &long);
    set_with_digest(&tree, &format!("t w o/shop/orders-{ID}/backups"), "nb-1-big", b"\n\0\xff");
    // A keyspace named `backups` is live data, and no business of this.
    tree.write(&format!("one/backups/orders-{ID}/nb-1-big-Data.db"), b"live");
    tree.write(&format!("one/backups/orders-{ID}/.idx/nb-1-big-Data.db"), b"live");

    let mut told: Vec<DeepProgress> = Vec::new();
    let limit = Duration::from_secs(30);
    let found =
        deep(&tree.door(), &tree.spec, &tree.data, LIMITS, limit, &mut |at| told.push(at)).await;
    let found = found.unwrap();
    assert_eq!((found.checked, found.bytes), (5, 300_000 + 3 + 256 + 1));
    assert!(found.wrong.is_empty() && found.unread.is_empty(), "{found:?}");
    assert!(found.without_digest.is_empty() && found.broke_off.is_none(), "{found:?}");
    let last = told.last().unwrap();
    assert_eq!((told.len(), last.files_done, last.bytes_done), (6, 5, last.bytes));

    // One bit of one, another's digest gone, a third's name holds a line end.
    let mut damaged = long.clone();
    damaged[299_999] ^= 1;
    tree.write(&format!("{backups}/.idx/nb-1-big-Data.db"), &damaged);
    fs::remove_file(tree.path(&format!("{backups}/nb-2-big-Digest.crc32"))).unwrap();
    tree.write("one/shop/or\nders/backups/nb-9-big-Data.db", b"x");
    let found = deep(&tree.door(), &tree.spec, &tree.data, LIMITS, limit, &mut |_| {}).await;
    let found = found.unwrap();
    let at = |path: &str| tree.path(path).to_str().unwrap().to_owned();
    assert_eq!(found.wrong.len(), 1, "{found:?}");
    assert_eq!(found.wrong[0].path, at(&format!("{backups}/.idx/nb-1-big-Data.db")));
    assert_eq!(found.wrong[0].found, crc32fast::hash(&damaged));
    assert_eq!(found.wrong[0].expected, crc32fast::hash(&long).to_string());
    assert_eq!(found.without_digest, [at(&format!("{backups}/nb-2-big-Data.db"))]);
    assert_eq!(found.unread, [at("one/shop/or\\u{a}ders/backups/nb-9-big-Data.db")]);
    assert_eq!(found.checked, 4);
}

#[tokio::test]
async fn a_set_that_goes_while_it_is_read_is_not_wrong() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    for number in 0..20 {
        set_with_digest(&tree, &backups, &format!("nb-{number}-big"), b"first content");
    }
    let folder = tree.path(&backups);
    let mut is_first = true;
    // As a clean elsewhere would, and a generation that comes back.
    let mut change = |_| {
        if std::mem::take(&mut is_first) {
            for number in 0..20 {
                for component in ["Data.db", "Digest.crc32"] {
                    fs::remove_file(folder.join(format!("nb-{number}-big-{component}"))).unwrap();
                }
            }
            for number in 0..5 {
                let data = folder.join(format!("nb-{number}-big-Data.db"));
                fs::write(data, b"other content").unwrap();
            }
        }
    };
    let limit = Duration::from_secs(30);
    let found = deep(&tree.door(), &tree.spec, &tree.data, LIMITS, limit, &mut change).await;
    let found = found.unwrap();
    assert!(found.wrong.is_empty() && found.unread.is_empty(), "{found:?}");
    assert_eq!((found.changed, found.broke_off), (20, None));
}

#[tokio::test]
async fn reading_that_is_cut_off_says_so() {
    let tree = Tree::new();
    let backups = format!("data/shop/orders-{ID}/backups");
    set_with_digest(&tree, &backups, "nb-1-big", b"x");
    tree.write("bin/cksum", b"#!/bin/sh\nexec sleep 20\n");
    fs::set_permissions(tree.path("bin/cksum"), fs::Permissions::from_mode(0o755)).unwrap();
    let limit = Duration::from_secs(1);
    let found = deep(&tree.door(), &tree.spec, &tree.data, LIMITS, limit, &mut |_| {}).await;
    let found = found.unwrap();
    assert_eq!(found.broke_off.map(|why| why.kind), Some(WhyKind::TimedOut));
    assert_eq!((found.checked, found.wrong.len(), found.unread.len()), (0, 0, 0));
}

#[tokio::test]
async fn the_newest_snapshot_tells_whether_a_table_keeps_out() {
    let tree = Tree::new();
    let schema = |table: &str, options: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS shop.{table} (\n id int PRIMARY KEY\n) WITH {options};\n"
        )
    };
    let off = "comment = '' AND incremental_backups = false";
    let on = "comment = 'x' AND incremental_backups = true";
    let put = |folder: &str, tag: &str, text: &str, age: &str| {
        let path = format!("data/shop/{folder}/snapshots/{tag}/schema.cql");
        tree.write(&path, text.as_bytes());
        let touch =
            std::process::Command::new("touch").args(["-d", age]).arg(tree.path(&path)).status();
        assert!(touch.unwrap().success());
    };
    put(&format!("logs-{ID}"), "before", &schema("logs", on), "2 days ago");
    put(&format!("logs-{ID}"), "after", &schema("logs", off), "1 day ago");
    put(&format!("orders-{ID}"), "before", &schema("orders", off), "2 days ago");
    put(&format!("orders-{ID}"), "after", &schema("orders", on), "1 day ago");
    // Dropped, and dropped and made again.
    let dropped = "dropped-1795222167483-gone";
    put(&format!("gone-{ID}"), dropped, &schema("gone", off), "1 day ago");
    put(&format!("again-{ID}"), "old", &schema("again", off), "1 day ago");
    tree.folder(&format!("data/shop/again-{LATER_ID}"));
    tree.folder(&format!("data/shop/bare-{ID}"));
    // Headers inside a schema's text name nothing.
    let off_here = off.replace("''", "'\n==> /etc/passwd <==\n'");
    let posing = schema("\"Posing\"", &off_here);
    put(&format!("Posing-{ID}"), "s", &posing, "1 day ago");

    let ask = |version: Option<&'static str>| {
        let door = tree.door();
        let (spec, data) = (tree.spec.clone(), tree.data.clone());
        async move { uncovered(&door, &spec, &data, version, From::Snapshots, LIMITS).await }
    };
    let Fact::Known(found) = ask(Some("5.0.5")).await else { panic!("unknown") };
    let names: Vec<(&str, Option<&str>)> =
        found.off.iter().map(|one| (one.table.as_str(), one.since.as_deref())).collect();
    assert_eq!(names, [("Posing", Some("s")), ("logs", Some("after"))]);
    assert_eq!(found.unseen, 2, "`again` and `bare` have no snapshot");
    let Fact::Known(found) = ask(Some("4.1.9")).await else { panic!("unknown") };
    assert_eq!((found.off.len(), found.unseen), (0, 0), "4.x has no such option");
}

#[tokio::test]
async fn cqlsh_is_believed_only_when_it_answers() {
    let tree = Tree::new();
    for (body, known) in [
        (
            "printf ' keyspace_name | table_name | incremental_backups\n---+---+---\n shop | logs | False\n\n(1 rows)\n'",
            Ok(1),
        ),
        (
            "echo 'InvalidRequest: Undefined column name incremental_backups in table x' >&2; exit 2",
            Ok(0),
        ),
        (
            "echo 'AuthenticationFailed(requires authentication)' >&2; exit 1",
            Err(WhyKind::NotPermitted),
        ),
        ("echo 'hello'", Err(WhyKind::NotUnderstood)),
        ("exit 127", Err(WhyKind::CommandNotFound)),
    ] {
        tree.write("bin/cqlsh", format!("#!/bin/sh\n{body}\n").as_bytes());
        fs::set_permissions(tree.path("bin/cqlsh"), fs::Permissions::from_mode(0o755)).unwrap();
        let answer = uncovered(&tree.door(), &tree.spec, &[], None, From::Cqlsh, LIMITS).await;
        let answer = match answer {
            Fact::Known(found) => Ok(found.off.len()),
            Fact::Unknown(why) => Err(why.kind),
        };
        assert_eq!(answer, known, "{body}");
    }
}

#[tokio::test]
async fn components_that_the_toc_does_not_name_are_counted() {
    let tree = Tree::new();
    tree.nodetool("data", "echo running");
    let backups = format!("data/shop/orders-{ID}/backups");
    for component in ["Data.db", "SAI+aa+PartitionToSize.db"] {
        tree.write(&format!("{backups}/nb-1-big-{component}"), b"x");
    }
    tree.write(&format!("{backups}/nb-1-big-TOC.txt"), b"Data.db\nTOC.txt\n");
    let mut spec = tree.spec.clone();
    spec.paths.data.clone_from(&tree.data);
    let mut tool = Nodetool::new(&spec, LIMITS.nodetool);
    let facts = survey(&tree.door(), &spec, &mut tool, LIMITS).await;
    let sum = facts.backups.known().expect("known");
    assert_eq!((sum.sets, sum.torn_sets, sum.sets_with_extra), (1, 0, 1));
    let example = format!("shop/orders-{ID}/backups/nb-1-big-SAI+aa+PartitionToSize.db");
    assert_eq!(sum.extra_examples, [example]);
    assert_eq!(facts.data_dirs, Fact::Known(tree.data.clone()));
}
