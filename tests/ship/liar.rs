//! Nodes that lie: what they send reaches nothing but their own place in the store, and nothing
//! there that was right before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use ringhaul::record::{Ended, Outcome};
use tar::{EntryType, Header};

use super::backups::{ID, Set};
use super::fleet::Tree;
use super::stored::{copies, faults, files, host};
use super::{Yard, counts, end};

/// Liars, who were honest once, and an honest node behind them.
struct Scene {
    yard: Yard,
    /// All that nobody may touch.
    before: BTreeMap<String, Vec<u8>>,
}

/// A node that lies, and what lies there.
struct Liar {
    tree: Tree,
    new: Set,
    victim: String,
}

impl Scene {
    async fn new(liars: usize) -> Self {
        let yard = Yard::new(liars + 1);
        let all = |set: &Set| (1..=liars + 1).for_each(|n| set.flush(&yard.nodes.tree(n)));
        all(&old());
        yard.ship().await;
        all(&new());
        fs::write(yard.nodes.root.path().join("victim"), "as it was").unwrap();
        let before = untouchable(&yard);
        Self { yard, before }
    }

    fn liar(&self, number: usize) -> Liar {
        let victim = self.yard.nodes.root.path().join("victim").to_str().unwrap().to_owned();
        Liar { tree: self.yard.nodes.tree(number), new: new(), victim }
    }

    /// Ships, and looks what came of it. Returns the ends of the liars.
    async fn ship(&self) -> Vec<Ended> {
        let (fleet, count) = (self.yard.ship().await, self.yard.nodes.count);
        let honest = end(&fleet, count);
        assert_eq!(counts(&honest)[3], 0, "{honest:?}");
        assert!(honest.outcome.is_fine(), "{honest:?}");
        let store = self.yard.store();
        assert_eq!(copies(&store, &host(count), &new()), 1);
        assert_eq!(faults(&store), [""; 0]);
        assert_eq!(untouchable(&self.yard), self.before);
        let look = |number| {
            assert_eq!(copies(&store, &host(number), &old()), 1);
            assert_eq!(self.yard.nodes.tree(number).tickets(), [""; 0]);
            end(&fleet, number)
        };
        (1..count).map(look).collect()
    }
}

fn old() -> Set {
    Set::big("shop.orders", "1", "old")
}

fn new() -> Set {
    Set::big("shop.orders", "2", "new").of_size(5000)
}

impl Liar {
    /// In place of its work a program sends this.
    fn lie(&self, program: &str, sends: &[u8], is_endless: bool) {
        self.tree.stand_in(program);
        fs::write(self.tree.path(&format!("{program}-sends")), sends).unwrap();
        if is_endless {
            self.tree.tell(&format!("{program}-repeats"), "");
        }
    }

    /// One of the new set's files, as the node's tar names it.
    fn path(&self, component: &str) -> String {
        self.new.file(&self.tree, component).to_str().unwrap().to_owned()
    }

    fn entry(&self, kind: EntryType, path: &str, component: &str) -> Vec<u8> {
        let content = &self.new.files[component];
        let time = fs::metadata(self.path(component)).unwrap().mtime();
        let time = u64::try_from(time).unwrap();
        let size = if kind.is_file() { content.len() } else { 0 };
        entry(kind, path, time, size as u64, &content[..size], &self.victim)
    }

    /// What an honest tar sends of the new set: so many of its files.
    fn honest(&self, files: usize) -> Vec<u8> {
        let components = self.new.files.keys().take(files);
        components.flat_map(|c| self.entry(EntryType::Regular, &self.path(c), c)).collect()
    }
}

/// All files but those of the store's two nodes and what the runs themselves leave.
fn untouchable(yard: &Yard) -> BTreeMap<String, Vec<u8>> {
    let mut all = files(yard.nodes.root.path());
    let begins = ["store/nodes/", "store/manifests/", "store/tmp/", "runs/"];
    let ends = ["/said", "-sends", "-repeats", "-exit", "bin/tar", "bin/find"];
    all.retain(|name, _| {
        !begins.iter().any(|begin| name.starts_with(begin))
            && !ends.iter().any(|end| name.ends_with(end))
    });
    all
}

/// An entry of a tar stream, its name in one of its own before it.
fn entry(
    kind: EntryType,
    path: &str,
    time: u64,
    size: u64,
    content: &[u8],
    target: &str,
) -> Vec<u8> {
    let mut bytes = block(EntryType::GNULongName, path.len() as u64 + 1, 0, "");
    bytes.extend(padded(format!("{path}\0").as_bytes()));
    bytes.extend(block(kind, size, time, target));
    bytes.extend(padded(content));
    bytes
}

fn block(kind: EntryType, size: u64, time: u64, target: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mtime(time);
    header.set_mode(0o644);
    let target = &target.as_bytes()[..target.len().min(99)];
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    bytes.resize(content.len().next_multiple_of(512), 0);
    bytes
}

/// What the node's tar sends in place of its work, and whether without end.
type Lie = fn(&Liar) -> (Vec<u8>, bool);

const REGULAR: EntryType = EntryType::Regular;

fn once(parts: &[&[u8]]) -> (Vec<u8>, bool) {
    let end: &[u8] = &[0; 1024];
    ([&parts.concat(), end].concat(), false)
}

/// The name, what it is, and whether the new set is stored all the same.
const LIES: [(&str, Lie, bool); 19] = [
    ("nothing", |_| (Vec::new(), false), false),
    ("an end alone", |_| once(&[]), false),
    ("garbage", |_| (b"garbage ".repeat(2000), false), false),
    ("garbage without end", |_| (b"garbage ".repeat(2000), true), false),
    ("zeros without end", |_| (vec![0; 65536], true), false),
    (
        "a name more",
        |s| {
            let more = s.path("Data.db").replace("nb-2-big", "nb-9-big");
            once(&[&s.honest(8), &s.entry(REGULAR, &more, "Data.db")])
        },
        true,
    ),
    (
        "a component more",
        |s| {
            let more = s.path("Data.db").replace("Data.db", "Rows.db");
            once(&[&s.honest(7), &s.entry(REGULAR, &more, "Data.db")])
        },
        false,
    ),
    (
        "a path that goes up",
        |s| {
            let up = s.path("Data.db").replace("/nb-2", "/../../../../../victim/nb-2");
            once(&[&s.entry(REGULAR, &up, "Data.db"), &s.honest(8)])
        },
        false,
    ),
    ("another path", |s| once(&[&s.entry(REGULAR, &s.victim, "Data.db"), &s.honest(8)]), false),
    (
        "a symbolic link, and a file through it",
        |s| {
            let link = s.entry(EntryType::Symlink, &s.path("CompressionInfo.db"), "Data.db");
            once(&[&link, &s.honest(8)])
        },
        false,
    ),
    (
        "a hard link",
        |s| {
            let link = s.entry(EntryType::Link, &s.path("TOC.txt"), "TOC.txt");
            once(&[&s.honest(7), &link])
        },
        false,
    ),
    (
        "a device",
        |s| {
            let device = s.entry(EntryType::Char, &s.path("TOC.txt"), "TOC.txt");
            once(&[&s.honest(7), &device])
        },
        false,
    ),
    (
        "a folder",
        |s| {
            let folder = s.entry(EntryType::Directory, &s.path("TOC.txt"), "TOC.txt");
            once(&[&s.honest(7), &folder])
        },
        false,
    ),
    (
        "another size",
        |s| {
            let toc = entry(REGULAR, &s.path("TOC.txt"), 0, 3, b"abc", "");
            once(&[&s.honest(7), &toc])
        },
        false,
    ),
    (
        "a size beyond all disks",
        |s| {
            let toc = entry(REGULAR, &s.path("TOC.txt"), 0, 1 << 62, b"abc", "");
            (([s.honest(7), toc]).concat(), true)
        },
        false,
    ),
    ("the same file twice", |s| once(&[&s.honest(2), &s.honest(8)]), false),
    ("the same set twice", |s| once(&[&s.honest(8), &s.honest(8)]), true),
    (
        "half a file",
        |s| {
            let all = s.honest(8);
            (all[..all.len() / 2].to_vec(), false)
        },
        false,
    ),
    ("a set without end", |s| (s.honest(8), true), true),
];

#[tokio::test]
async fn whatever_tar_sends_only_what_was_asked_for_is_taken_and_other_nodes_go_on() {
    let scene = Scene::new(LIES.len()).await;
    for (number, (_, lie, _)) in (1..).zip(LIES) {
        let liar = scene.liar(number);
        let (bytes, is_endless) = lie(&liar);
        liar.lie("tar", &bytes, is_endless);
    }
    let store = scene.yard.store();
    let ends = scene.ship().await;
    for (number, ((name, _, is_stored), end)) in (1..).zip(LIES.into_iter().zip(ends)) {
        let liar = scene.liar(number);
        assert!(liar.tree.said().iter().any(|said| said.starts_with("tar ")), "{name}: by our tar");
        assert_eq!(end.outcome, Outcome::Failed, "{name}: {end:?}");
        assert!(end.reason.is_some(), "{name}: {end:?}");
        let stored = copies(&store, &host(number), &liar.new);
        assert_eq!(stored, usize::from(is_stored), "{name}: {end:?}");
        let [shipped, there, ..] = counts(&end);
        assert_eq!((shipped, there), (u64::from(is_stored), 1), "{name}: {end:?}");
        fs::remove_file(liar.tree.path("bin/tar")).unwrap();
    }
    // An honest tar finds nothing in its way.
    for (number, end) in (1..).zip(scene.ship().await) {
        assert!(end.outcome.is_fine(), "{end:?}");
        assert_eq!(copies(&store, &host(number), &new()), 1);
    }
}

#[tokio::test]
async fn a_tar_that_is_not_there_fails_the_node_and_says_so() {
    let scene = Scene::new(1).await;
    scene.liar(1).lie("tar", b"", false);
    scene.liar(1).tree.tell("tar-exit", "127");
    let end = scene.ship().await.remove(0);
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.reason.clone().unwrap().contains("127"), "{end:?}");
}

/// A record of `find` as the list of sets reads it.
fn file(dir: &str, depth: usize, name: &str, size: u64) -> String {
    format!("\0d 1 {dir}\0\0f {depth} f 1 99 1 {size} 1700000000.0000000000 {name}\0")
}

/// The folders of a table's backups, and a file in it.
fn listed(liar: &Liar, keyspace: &str, folder: &str, name: &str, size: u64) -> String {
    let data = liar.tree.path("data");
    let data = data.to_str().unwrap();
    let folder = format!("{data}/{keyspace}/{folder}");
    format!(
        "\0d 1 {data}\0\0d 1 {data}/{keyspace}\0\0d 1 {folder}\0{}",
        file(&format!("{folder}/backups"), 4, name, size)
    )
}

#[tokio::test]
async fn a_list_that_is_none_or_never_ends_fails_the_node() {
    let lies = ["garbage", "\0garbage\0", "\0d x y\0", "\0f 1 f 1 1 1 1 1 ../../victim\0"];
    let scene = Scene::new(lies.len() + 1).await;
    for (number, text) in (1..).zip(lies) {
        scene.liar(number).lie("find", text.as_bytes(), false);
    }
    let endless = format!("\0d 1 /{}\0", "x".repeat(4000)).repeat(100);
    scene.liar(lies.len() + 1).lie("find", endless.as_bytes(), true);
    for (number, end) in (1..).zip(scene.ship().await) {
        assert!(!end.outcome.is_fine(), "{end:?}");
        assert_eq!(copies(&scene.yard.store(), &host(number), &new()), 0);
    }
}

#[tokio::test]
async fn sets_that_are_not_there_are_not_stored_and_no_name_leads_elsewhere() {
    let orders = format!("orders-{ID}");
    let lies = [
        ("shop", orders.as_str(), "nb-5-big-Data.db"),
        ("..", orders.as_str(), "nb-5-big-Data.db"),
        ("shop", "..", "nb-5-big-Data.db"),
        ("shop", orders.as_str(), "../nb-5-big-Data.db"),
        ("shop", orders.as_str(), "nb-..-big-Data.db"),
        ("shop", orders.as_str(), "nb-5-big-..db"),
    ];
    let scene = Scene::new(lies.len()).await;
    for (number, (keyspace, folder, name)) in (1..).zip(lies) {
        let liar = scene.liar(number);
        liar.lie("find", listed(&liar, keyspace, folder, name, 10).as_bytes(), false);
    }
    for end in scene.ship().await {
        assert!(end.haul.is_none() || counts(&end)[0] == 0, "{end:?}");
    }
}

#[tokio::test]
async fn a_set_that_claims_to_be_beyond_all_disks_takes_no_room_from_others() {
    let scene = Scene::new(1).await;
    let liar = scene.liar(1);
    let toc = "nb-5-big-TOC.txt";
    fs::write(liar.new.backups(&liar.tree).join(toc), "TOC.txt\n").unwrap();
    let listed = listed(&liar, "shop", &format!("orders-{ID}"), toc, u64::MAX / 4);
    liar.lie("find", listed.as_bytes(), false);
    let fleet = scene.yard.ship().await;
    assert_eq!(end(&fleet, 1).outcome, Outcome::Refused, "{:?}", end(&fleet, 1));
    assert_eq!(end(&fleet, 2).outcome, Outcome::Done, "{:?}", end(&fleet, 2));
    scene.yard.is_sound();
}
