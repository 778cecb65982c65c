//! Streams of real tar, and of nodes that lie.

use std::fs;
use std::io::{Cursor, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tar::{EntryType, Header};

use super::*;
use crate::cassandra::sets::{Origin, SetPlace};
use crate::store::Store;
use crate::store::disk::Disk;
use crate::store::manifest::{Manifest, NodeAtHand, SCHEMA};

/// More than is gathered in memory.
const BIG: usize = 700_000;

struct Bench {
    folder: tempfile::TempDir,
    writer: Writer,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_or_make(&folder.path().join("store")).unwrap().0;
        let writer = store.writer("h", Duration::ZERO).unwrap();
        Self { folder, writer }
    }

    /// Makes a set on the "node".
    fn set(&self, generation: usize, data: &[u8]) -> FoundSet {
        let dir = self.folder.path().join(format!("node/ks/t-{}/backups", "0".repeat(32)));
        fs::create_dir_all(&dir).unwrap();
        let digest = crc32fast::hash(data);
        let written = digest.to_string();
        let toc = b"Data.db\nDigest.crc32\nEmpty.db\nTOC.txt\n";
        let files: [(&str, &[u8]); 4] = [
            ("Data.db", data),
            ("Digest.crc32", written.as_bytes()),
            ("Empty.db", b""),
            ("TOC.txt", toc),
        ];
        let place = SetPlace {
            keyspace: "ks".into(),
            folder: format!("t-{}", "0".repeat(32)),
            index: None,
            descriptor: format!("nb-{generation}-big"),
        };
        let files = files.into_iter().map(|(component, content)| {
            let path = dir.join(place.file_name(component));
            fs::write(&path, content).unwrap();
            found(&path, component)
        });
        FoundSet {
            files: files.collect(),
            place,
            origin: Origin::Backups,
            dir: dir.to_str().unwrap().into(),
            digest: Some(digest),
            untouchable: None,
        }
    }

    /// Takes a stream; returns what `on_set` was told, by set, and how it ended.
    fn take(&self, stream: impl Read, sets: &[FoundSet]) -> (Vec<Told>, Result<(), String>) {
        let mut told = vec![Told::Nothing; sets.len()];
        let mut bytes = 0;
        let ended = take(
            stream,
            Wanted { sets },
            &self.writer,
            &mut |number, result| {
                assert_eq!(told[number], Told::Nothing, "told twice");
                told[number] = match result {
                    Ok((set, draft)) => {
                        is_as_on_the_node(&set, &draft, &sets[number]);
                        Told::Whole
                    }
                    Err(fault) => Told::Failed(fault.to_string()),
                };
                ControlFlow::Continue(())
            },
            &mut |count| bytes += count,
        );
        (told, ended.map_err(|error| error.to_string()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Nothing,
    Whole,
    Failed(String),
}

fn failed(text: &str) -> Told {
    Told::Failed(text.to_owned())
}

fn found(path: &Path, component: &str) -> FoundFile {
    let metadata = fs::metadata(path).unwrap();
    FoundFile {
        component: component.into(),
        device: metadata.dev(),
        inode: metadata.ino(),
        links: metadata.nlink(),
        size: metadata.len(),
        modified: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
    }
}

fn is_as_on_the_node(set: &StoredSet, draft: &Draft, found_set: &FoundSet) {
    assert_eq!((&set.place, &set.id), (&found_set.place, &found_set.id()));
    assert_eq!(set.digest, found_set.digest);
    assert_eq!(set.files.len(), found_set.files.len());
    for (stored, listed) in set.files.iter().zip(&found_set.files) {
        let content = fs::read(found_set.path(listed)).unwrap();
        let path = draft.dir().join(set.place.file_name(&stored.component));
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(stored.blake3, blake3::hash(&content).to_hex().as_str());
        assert_eq!(found(&path, "x").modified, listed.modified);
        assert_eq!((stored.size, stored.inode), (listed.size, listed.inode));
    }
}

/// What the node's tar sends of the sets.
fn tar(sets: &[FoundSet]) -> Vec<u8> {
    let mut tar = Command::new("tar")
        .args(["-c", "-P", "-f", "-", "--format=gnu", "--hard-dereference", "--no-recursion"])
        .args(["--null", "-T", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let names: Vec<String> =
        sets.iter().flat_map(|set| set.files.iter().map(|file| set.path(file) + "\0")).collect();
    tar.stdin.take().unwrap().write_all(names.concat().as_bytes()).unwrap();
    tar.wait_with_output().unwrap().stdout
}

/// A stream made by hand.
#[derive(Default)]
struct Lie(Vec<u8>);

impl Lie {
    fn entry(mut self, name: &str, content: &[u8], change: impl Fn(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        if name.len() > 100 {
            self = self.raw("././@LongLink", format!("{name}\0").as_bytes(), |header| {
                header.set_entry_type(EntryType::GNULongName);
            });
        }
        let fits = name.len().min(99);
        header.as_old_mut().name[..fits].copy_from_slice(&name.as_bytes()[..fits]);
        self.push(header, content, change);
        self
    }

    fn raw(mut self, name: &str, content: &[u8], change: impl Fn(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        self.push(header, content, change);
        self
    }

    fn push(&mut self, mut header: Header, content: &[u8], change: impl Fn(&mut Header)) {
        header.set_size(content.len() as u64);
        header.set_entry_type(EntryType::Regular);
        change(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// A file as it lies on the node.
    fn file(self, set: &FoundSet, index: usize, change: impl Fn(&mut Header)) -> Self {
        let file = &set.files[index];
        let path = set.path(file);
        let content = fs::read(&path).unwrap();
        self.entry(&path, &content, |header| {
            header.set_mtime((file.modified / 1_000_000_000) as u64);
            change(header);
        })
    }

    fn set(self, set: &FoundSet) -> Self {
        (0..set.files.len()).fold(self, |lie, index| lie.file(set, index, |_| {}))
    }

    fn end(mut self) -> Cursor<Vec<u8>> {
        self.0.extend([0; 1024]);
        Cursor::new(self.0)
    }
}

#[test]
fn what_real_tar_sends_is_taken_and_can_be_stored() {
    is_taken_and_stored(&Bench::new());
    // On a disk of which nothing is known.
    let mut bench = Bench::new();
    bench.writer.disk = Disk::singly().unwrap();
    is_taken_and_stored(&bench);
}

#[test]
fn what_the_disk_says_when_a_file_is_closed_stops_the_batch() {
    let mut bench = Bench::new();
    bench.writer.disk = Disk::singly().unwrap();
    for data in [b"small".as_slice(), &[7; BIG]] {
        let sets = [bench.set(1, data)];
        let mut kept = None;
        let on_set = &mut |_, result: Result<_, SetFault>| {
            kept = Some(result.unwrap());
            ControlFlow::Continue(())
        };
        take(&*tar(&sets), Wanted { sets: &sets }, &bench.writer, on_set, &mut |_| {}).unwrap();
        let (set, mut draft) = kept.unwrap();
        let closed: Vec<_> = draft.settle().unwrap().map(Path::to_owned).collect();
        assert_eq!(closed.len(), 4, "{closed:?}");
        assert!(closed.iter().all(|path| path.is_file()));
        // A pipe cannot be made durable, as a file whose server lost a write.
        let (_reader, pipe) = io::pipe().unwrap();
        draft.close("Data.db", fs::File::from(std::os::fd::OwnedFd::from(pipe)));
        bench.writer.commit(manifest(vec![set]), vec![draft]).unwrap_err();
        assert_eq!(bench.writer.store().manifests("h").unwrap().count(), 0);
    }
}

fn manifest(sets: Vec<StoredSet>) -> Manifest {
    Manifest {
        schema: SCHEMA,
        run: "r".into(),
        part: 1,
        ringhaul: "0".into(),
        written: jiff::Timestamp::UNIX_EPOCH,
        node: NodeAtHand { host_id: "h".into(), ..NodeAtHand::default() },
        sets,
    }
}

fn is_taken_and_stored(bench: &Bench) {
    let big: Vec<u8> = (0..BIG).map(|n| (n % 251) as u8).collect();
    let sets = [bench.set(1, b"small"), bench.set(2, &big), bench.set(3, b"")];
    let stream = tar(&sets);
    let mut gathered = Vec::new();
    let mut drafts = Vec::new();
    take(
        &*stream,
        Wanted { sets: &sets },
        &bench.writer,
        &mut |_, result| {
            let (set, draft) = result.unwrap();
            gathered.push(set);
            drafts.push(draft);
            ControlFlow::Continue(())
        },
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(gathered.len(), 3);
    bench.writer.commit(manifest(gathered), drafts).unwrap();
    let holdings = bench.writer.store().holdings("h", &mut |_| true).unwrap();
    assert_eq!(holdings.iter().filter(|held| held.fault.is_none()).count(), 3);
    assert_eq!(bench.take(&*stream, &sets), (vec![Told::Whole; 3], Ok(())));
}

#[test]
fn a_stream_cut_anywhere_leaves_whole_sets_only() {
    let bench = Bench::new();
    let sets = [bench.set(1, b"one"), bench.set(2, b"two"), bench.set(3, b"three")];
    let stream = Lie::default().set(&sets[0]).set(&sets[1]).set(&sets[2]).end().into_inner();
    let third = stream.len() / 3;
    for at in (0..stream.len()).step_by(101).chain([511, 512, 513, third, stream.len() - 1]) {
        let (told, ended) = bench.take(&stream[..at], &sets);
        assert_eq!(ended, Ok(()), "{at}");
        let whole = told.iter().take_while(|told| **told == Told::Whole).count();
        assert!(told[whole..].iter().all(|told| *told == Told::Nothing), "{at}: {told:?}");
        assert!(whole >= (at * 3 / stream.len()).saturating_sub(1), "{at}: {whole}");
    }
    // A line that says no is an error, after what came whole.
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no carrier"))
        }
    }
    let (told, ended) = bench.take(stream[..third + 2048].chain(Broken), &sets);
    assert_eq!(told[..2], [Told::Whole, Told::Nothing]);
    assert_eq!(ended, Err("the stream broke off: no carrier".to_owned()));
}

#[test]
fn a_file_that_is_another_than_was_listed_fails_its_set_alone() {
    let bench = Bench::new();
    let big = vec![7; BIG];
    for data in [b"data".as_slice(), &big] {
        let sets = [bench.set(1, data), bench.set(2, data)];
        let came = |lie: Lie| {
            let (told, ended) = bench.take(lie.set(&sets[1]).end(), &sets);
            assert_eq!((ended, &told[1]), (Ok(()), &Told::Whole));
            told[0].clone()
        };
        let rest = |lie: Lie| (1..4).fold(lie, |lie, index| lie.file(&sets[0], index, |_| {}));
        let with =
            |change: &dyn Fn(&mut Header)| came(rest(Lie::default().file(&sets[0], 0, change)));
        assert_eq!(with(&|_| {}), Told::Whole);
        assert_eq!(
            with(&|header| header.set_mtime(9)),
            failed("Data.db was changed since it was listed")
        );
        for kind in [b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'S', b'D', b'x', b'?'] {
            let kind = EntryType::new(kind);
            let told = with(&|header| header.set_entry_type(kind));
            assert_eq!(told, failed("Data.db did not come as a file"), "{kind:?}");
        }
        let grown =
            Lie::default().entry(&sets[0].path(&sets[0].files[0]), &vec![1; BIG + 9], |_| {});
        let listed = data.len();
        assert_eq!(
            came(rest(grown)),
            failed(&format!("Data.db was listed with {listed} bytes and came with {}", BIG + 9))
        );
        let mut other = data.to_vec();
        other[0] = b'X';
        let second = (sets[0].files[0].modified / 1_000_000_000) as u64;
        let lie = Lie::default()
            .entry(&sets[0].path(&sets[0].files[0]), &other, |header| header.set_mtime(second));
        let (was, is) = (crc32fast::hash(data), crc32fast::hash(&other));
        let text = format!("Data.db does not match Digest.crc32: was {was}, is {is}");
        assert_eq!(came(rest(lie)), failed(&text));
        // One that vanished, at the beginning or the end.
        assert_eq!(came(rest(Lie::default())), failed("Data.db did not come"));
        let last = (0..3).fold(Lie::default(), |lie, index| lie.file(&sets[0], index, |_| {}));
        assert_eq!(came(last), failed("TOC.txt did not come"));
        // One of which nothing came is not told of.
        assert_eq!(came(Lie::default()), Told::Nothing);
    }
}

#[test]
fn the_digest_that_comes_counts_and_one_that_was_not_listed_is_no_fault() {
    let bench = Bench::new();
    let mut sets = [bench.set(1, b"data"), bench.set(2, b"data"), bench.set(3, b"data")];
    let stream = tar(&sets);
    sets[0].digest = Some(7);
    sets[1].digest = None;
    let mut digests = Vec::new();
    let mut faults = Vec::new();
    take(
        &*stream,
        Wanted { sets: &sets },
        &bench.writer,
        &mut |_, result| {
            match result {
                Ok((set, _)) => digests.push(set.digest),
                Err(fault) => faults.push(fault.to_string()),
            }
            ControlFlow::Continue(())
        },
        &mut |_| {},
    )
    .unwrap();
    let crc = Some(crc32fast::hash(b"data"));
    assert_eq!(digests, [crc, crc]);
    assert_eq!(faults, ["Digest.crc32 was changed since it was listed"]);
}

#[test]
fn a_digest_that_is_no_number_fails_its_set_and_a_set_without_one_is_stored() {
    let bench = Bench::new();
    for text in ["", "x", "-1", "12 13", "4294967296", "0x7"] {
        let mut set = bench.set(1, b"data");
        let path = set.path(&set.files[1]);
        fs::write(&path, text).unwrap();
        set.files[1] = found(Path::new(&path), "Digest.crc32");
        set.digest = None;
        let (told, ended) = bench.take(&*tar(std::slice::from_ref(&set)), &[set]);
        let fault = failed("Digest.crc32 holds no number: Data.db cannot be compared with it");
        assert_eq!((told, ended), (vec![fault], Ok(())), "{text}");
    }
    let mut set = bench.set(2, b"data");
    set.files.remove(1);
    set.digest = None;
    let (told, ended) = bench.take(&*tar(std::slice::from_ref(&set)), &[set]);
    assert_eq!((told, ended), (vec![Told::Whole], Ok(())));
}

#[test]
fn what_was_not_asked_for_breaks_the_stream_off() {
    let bench = Bench::new();
    let sets = [bench.set(1, b"one"), bench.set(2, b"two")];
    let own = sets[0].path(&sets[0].files[0]);
    let dir = &*sets[0].dir;
    let first = || Lie::default().set(&sets[0]);
    let none = |_: &mut Header| {};
    let kind = |kind: u8| move |header: &mut Header| header.set_entry_type(EntryType::new(kind));
    let mut lies = vec![
        ("twice", first().file(&sets[0], 0, none)),
        ("backwards", first().file(&sets[1], 1, none).file(&sets[1], 0, none)),
        ("two names", first().raw("a", b"x\0", kind(b'L')).raw("a", b"y\0", kind(b'L'))),
        ("long name", first().raw("a", &[b'x'; 5000], kind(b'L'))),
        ("pax", first().raw("././@PaxHeader", b"30 path=/etc/passwd\n", kind(b'x'))),
        ("global pax", first().raw("pax_global_header", b"12 size=99\n", kind(b'g'))),
        ("long link", first().raw("././@LongLink", b"/etc/passwd\0", kind(b'K'))),
        ("no size", first().entry(&own, b"", |header| header.as_old_mut().size = [b'x'; 12])),
        (
            "endless",
            first().entry(&sets[1].path(&sets[1].files[0]), b"", |header| {
                header.set_size(u64::MAX >> 1);
            }),
        ),
        (
            "too much",
            first().entry(&sets[1].path(&sets[1].files[0]), b"", |header| {
                header.set_size(1 << 40);
            }),
        ),
    ];
    for name in [
        "/etc/passwd",
        "nb-1-big-Data.db",
        &format!("{dir}/../backups/nb-2-big-Data.db"),
        &format!("{dir}//nb-2-big-Data.db"),
        &format!("{dir}/nb-2-big-Data.db/"),
        &format!("{dir}/nb-3-big-Data.db"),
        &format!("{dir}/nb-2-big-../x"),
        &own[1..],
        "",
    ] {
        lies.push((Box::leak(name.to_owned().into_boxed_str()), first().entry(name, b"x", none)));
    }
    for (what, lie) in lies {
        let (told, ended) = bench.take(lie.end(), &sets);
        assert!(ended.unwrap_err().starts_with("the node sends what it was not"), "{what}");
        assert_eq!(told[0], Told::Whole, "{what}");
        assert_ne!(told[1], Told::Whole, "{what}");
    }
    let mut torn = first().set(&sets[1]).end().into_inner();
    let last = torn.len() - 3;
    torn[last] = 1;
    assert!(bench.take(&*torn, &sets).1.unwrap_err().contains("something comes after the end"));
    torn[3] ^= 1;
    assert!(bench.take(&*torn, &sets).1.unwrap_err().contains("wrong checksum"));
    let zeros = first().end().chain(io::repeat(0));
    assert!(bench.take(zeros, &sets).1.unwrap_err().contains("no end after the end"));
    assert!(bench.take(io::repeat(b'x'), &sets).1.is_err());
    let inside = files_outside(bench.folder.path());
    assert_eq!(inside, ["node", "store"], "nothing was written elsewhere");
}

fn files_outside(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_set_whose_words_lead_elsewhere_fails_alone() {
    let bench = Bench::new();
    let mut sets = [bench.set(1, b"one"), bench.set(2, b"two")];
    let stream = tar(&sets);
    sets[0].place.folder = "..".into();
    let (told, ended) = bench.take(&*stream, &sets);
    assert_eq!(told, [failed("'..' is no table's folder"), Told::Whole]);
    assert_eq!(ended, Ok(()));
}

#[test]
fn who_has_enough_is_told_no_more() {
    let bench = Bench::new();
    let sets: Vec<FoundSet> = (0..20).map(|n| bench.set(n, b"data")).collect();
    let mut told = 0;
    let ended = take(
        &*tar(&sets),
        Wanted { sets: &sets },
        &bench.writer,
        &mut |_, _| {
            told += 1;
            if told == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
        &mut |_| {},
    );
    assert!(ended.is_ok() && told == 3);
}
