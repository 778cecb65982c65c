//! cassandra.yaml read and changed by the real script and real coreutils, on files made here:
//! links, rights, full disks, several shells, and a cut at every program the script runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "common/local.rs"]
mod local;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use local::Local;
use ringhaul::cassandra::edit::{Edit, set_boolean};
use ringhaul::cassandra::fact::{Fact, WhyKind};
use ringhaul::inventory::{NodeSpec, Paths, Sudo};
use ringhaul::node::Endpoint;
use ringhaul::node::config_file::{self, ConfigFile, EditError, Replaced};

const OLD: &str = "# ü\r\ncluster_name: 'x'\r\nincremental_backups: false # why\r\nlast: 1";
const NEW: &str = "# ü\r\ncluster_name: 'x'\r\nincremental_backups: true # why\r\nlast: 1";
const STAMP: &str = "20261121T131500Z";
const LIMIT: Duration = Duration::from_secs(30);

/// The programs that the script runs; the shell is not one of them.
const PROGRAMS: [&str; 12] =
    ["cat", "cp", "dd", "find", "head", "id", "mv", "readlink", "rm", "sort", "stat", "sync"];

/// A node's cassandra.yaml in a folder of its own, and what comes first in PATH there.
struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["bin", "conf"] {
            fs::create_dir(tree.path(folder)).unwrap();
        }
        fs::write(tree.yaml(), OLD).unwrap();
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn yaml(&self) -> PathBuf {
        self.path("conf/cassandra.yaml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.yaml()).unwrap()
    }

    /// Puts a program first in PATH.
    fn program(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Names beside cassandra.yaml.
    fn others(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("conf"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "cassandra.yaml")
            .collect();
        names.sort();
        names
    }

    fn spec(&self, sudo: Sudo) -> NodeSpec {
        NodeSpec {
            paths: Paths { config: Some(text(&self.yaml())), ..Paths::default() },
            sudo,
            ..NodeSpec::at(Endpoint { host: "here".into(), ..Endpoint::default() })
        }
    }

    fn door(&self) -> Local {
        Local { bin: self.path("bin") }
    }

    async fn read(&self) -> Fact<ConfigFile> {
        config_file::read(&self.door(), &self.spec(Sudo::Never), &text(&self.yaml()), LIMIT).await
    }

    async fn replace(&self, file: &ConfigFile, stamp: &str) -> Result<Replaced, EditError> {
        self.replace_with(file, stamp, Sudo::Never).await
    }

    async fn replace_with(
        &self,
        file: &ConfigFile,
        stamp: &str,
        sudo: Sudo,
    ) -> Result<Replaced, EditError> {
        let spec = self.spec(sudo);
        config_file::replace(&self.door(), &spec, file, &edit(file), stamp, LIMIT).await
    }

    /// Reads and changes.
    async fn set(&self) -> Result<Replaced, EditError> {
        let file = known(self.read().await);
        self.replace(&file, STAMP).await
    }

    /// Asserts that nothing was changed and nothing is left, and returns the reason.
    async fn refused(&self) -> String {
        let before = self.others();
        let Err(EditError::Refused(why)) = self.set().await else { panic!("not refused") };
        assert_eq!((self.text().as_str(), self.others()), (OLD, before), "{why}");
        why.text
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn known(file: Fact<ConfigFile>) -> ConfigFile {
    match file {
        Fact::Known(file) => file,
        Fact::Unknown(why) => panic!("{why:?}"),
    }
}

fn edit(file: &ConfigFile) -> Edit {
    set_boolean(&file.bytes, "incremental_backups", true).unwrap().unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Says aloud that a part of a test could not be run here.
fn left_out(what: &str) {
    eprintln!("LEFT OUT: {what}");
}

fn is_root() -> bool {
    run("id", &["-u"]).as_deref() == Some("0\n")
}

#[tokio::test]
async fn a_file_is_read_byte_for_byte() {
    let tree = Tree::new();
    for text in
        [&b""[..], b"a: 1", b"a: 1\n\n\n", b"a\0end 0\0b\r\n", b"\xff\xfe\n", OLD.as_bytes()]
    {
        fs::write(tree.yaml(), text).unwrap();
        let file = known(tree.read().await);
        assert_eq!(file.bytes, text);
        assert_eq!(file.target, text_of(&tree));
    }
}

fn text_of(tree: &Tree) -> String {
    text(&fs::canonicalize(tree.yaml()).unwrap())
}

#[tokio::test]
async fn one_word_is_changed_and_a_copy_kept() {
    for shell in ["sh", "dash", "bash", "busybox sh"] {
        let tree = Tree::new();
        if run("sh", &["-c", &format!("command -v {shell}")]).is_none() {
            left_out(shell);
            continue;
        }
        tree.program("sh", &format!("PATH=${{PATH#*:}}; exec {shell} \"$@\""));
        let done = tree.set().await.unwrap();
        let backup = format!("{}.ringhaul-{STAMP}", text_of(&tree));
        let wanted = Replaced { backup: Some(backup.clone()), pruned: 0, was_already: false };
        assert_eq!((done, tree.text().as_str()), (wanted, NEW), "{shell}");
        assert_eq!(fs::read_to_string(backup).unwrap(), OLD);
        assert_eq!(tree.others().len(), 1);
    }
}

#[tokio::test]
async fn lines_are_added_whatever_the_text_is() {
    for (before, after) in [
        ("a: 1", "a: 1\nincremental_backups: true"),
        (
            "a: 1\r\nb: '\\ \"!$(x)`'\r\n",
            "a: 1\r\nb: '\\ \"!$(x)`'\r\nincremental_backups: true\r\n",
        ),
        ("incremental_backups:\n", "incremental_backups: true\n"),
        ("{a: 1}", "{incremental_backups: true, a: 1}"),
        ("incremental_backups: off", "incremental_backups: true"),
    ] {
        let tree = Tree::new();
        fs::write(tree.yaml(), before).unwrap();
        tree.set().await.unwrap();
        assert_eq!(tree.text(), after);
    }
}

#[tokio::test]
async fn a_large_file_stays_whole() {
    let tree = Tree::new();
    let filler = "# 0123456789 ü and more words to make a long comment line of it\n".repeat(9_000);
    fs::write(tree.yaml(), format!("{filler}incremental_backups: no\n{filler}")).unwrap();
    tree.set().await.unwrap();
    assert!(tree.text() == format!("{filler}incremental_backups: true\n{filler}"));
}

#[tokio::test]
async fn a_link_stays_and_the_file_behind_it_is_changed() {
    let tree = Tree::new();
    fs::create_dir(tree.path("real folder")).unwrap();
    let real = tree.path("real folder/it's [1]*.yaml");
    fs::rename(tree.yaml(), &real).unwrap();
    symlink("../real folder/it's [1]*.yaml", tree.yaml()).unwrap();
    let done = tree.set().await.unwrap();
    assert!(fs::symlink_metadata(tree.yaml()).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), NEW);
    assert_eq!(fs::read_to_string(done.backup.unwrap()).unwrap(), OLD);
    assert_eq!(tree.others(), [""; 0], "the copy lies beside the file, not beside the link");
}

#[tokio::test]
async fn owner_mode_and_attributes_stay() {
    let tree = Tree::new();
    let yaml = text(&tree.yaml());
    fs::set_permissions(tree.yaml(), fs::Permissions::from_mode(0o640)).unwrap();
    if is_root() {
        assert!(run("chown", &["12345:23456", &yaml]).is_some());
    } else {
        left_out("another owner, which takes root");
    }
    let tools: [(&str, &[&str], &str, &[&str]); 2] = [
        ("setfacl", &["-m", "u:4321:r", &yaml], "getfacl", &["-cnp", &yaml]),
        (
            "setfattr",
            &["-n", "user.x", "-v", "y", &yaml],
            "getfattr",
            &["-d", "--absolute-names", &yaml],
        ),
    ];
    let mut seen = Vec::new();
    for (set, arguments, get, shown) in tools {
        match run(set, arguments).and_then(|_| run(get, shown)) {
            Some(text) => seen.push((get, shown, text)),
            None => left_out(set),
        }
    }
    let likeness = |path: &Path| {
        let data = fs::metadata(path).unwrap();
        (data.uid(), data.gid(), data.mode())
    };
    let before = likeness(&tree.yaml());
    let done = tree.set().await.unwrap();
    assert_eq!((tree.text().as_str(), likeness(&tree.yaml())), (NEW, before));
    assert_eq!(likeness(Path::new(&done.backup.unwrap())), before);
    for (get, shown, text) in seen {
        assert_eq!(run(get, shown), Some(text), "{get}");
    }
}

#[tokio::test]
async fn the_last_five_copies_are_kept_and_no_file_of_others_is_touched() {
    let tree = Tree::new();
    let foreign = [
        "cassandra.yaml.ringhaul-20261121T131500Z.old",
        "cassandra.yaml.ringhaul-x0261121T131500Z",
        "cassandra.yaml.bak",
        "cassandra.yaml.ringhaul-tmp-mine",
        "other.yaml.ringhaul-20200101T000000Z",
        "xcassandra.yaml.ringhaul-20200101T000000Z",
        ".ringhaul-20200101T000000Z",
        "new\nline.ringhaul-20200101T000000Z",
    ];
    for name in foreign {
        fs::write(tree.path("conf").join(name), "x").unwrap();
    }
    for day in 1..=8 {
        fs::write(tree.yaml(), OLD).unwrap();
        let file = known(tree.read().await);
        let done = tree.replace(&file, &format!("202611{day:02}T000000Z")).await.unwrap();
        assert_eq!(done.pruned, usize::from(day > 5));
    }
    let mut wanted: Vec<String> = foreign.iter().map(ToString::to_string).collect();
    wanted.extend((4..=8).map(|day| format!("cassandra.yaml.ringhaul-202611{day:02}T000000Z")));
    wanted.sort();
    assert_eq!(tree.others(), wanted);
}

#[tokio::test]
async fn a_file_that_somebody_changed_meanwhile_is_left_to_them() {
    let tree = Tree::new();
    let file = known(tree.read().await);
    fs::write(tree.yaml(), "theirs: 1\n").unwrap();
    assert_eq!(tree.replace(&file, STAMP).await, Err(EditError::Changed));
    assert_eq!((tree.text().as_str(), tree.others().len()), ("theirs: 1\n", 0));

    // A link that now leads elsewhere.
    let tree = Tree::new();
    let file = known(tree.read().await);
    fs::rename(tree.yaml(), tree.path("conf/b")).unwrap();
    symlink("b", tree.yaml()).unwrap();
    assert_eq!(tree.replace(&file, STAMP).await, Err(EditError::Changed));

    // While the script is at work, at any of its programs.
    for (program, call) in [("cp", 1), ("cp", 2), ("dd", 1), ("sync", 1), ("mv", 1)] {
        let tree = Tree::new();
        let file = known(tree.read().await);
        let yaml = text(&tree.yaml());
        let count = text(&tree.path("count"));
        tree.program(
            program,
            &format!(
                "echo >> '{count}'; [ $(wc -l < '{count}') = {call} ] && echo 'theirs: 1' > '{yaml}'
                PATH=${{PATH#*:}}; exec {program} \"$@\""
            ),
        );
        assert_eq!(tree.replace(&file, STAMP).await, Err(EditError::Changed), "{program} {call}");
        assert_eq!(tree.text(), "theirs: 1\n");
        assert_eq!(tree.others(), [""; 0], "{program} {call}");
    }
}

#[tokio::test]
async fn what_is_done_already_is_done_once() {
    let tree = Tree::new();
    let file = known(tree.read().await);
    let first = tree.replace(&file, STAMP).await.unwrap();
    let again = tree.replace(&file, "20261121T131501Z").await.unwrap();
    assert!(again.was_already && !first.was_already);
    assert_eq!((again.backup, tree.others().len()), (first.backup, 1));
}

#[tokio::test]
async fn a_copy_of_the_same_second_is_not_overwritten() {
    let tree = Tree::new();
    fs::write(tree.path(&format!("conf/cassandra.yaml.ringhaul-{STAMP}")), "another").unwrap();
    assert!(tree.refused().await.contains("File exists"));
}

#[tokio::test]
async fn files_that_cannot_be_replaced_are_refused() {
    let tree = Tree::new();
    fs::hard_link(tree.yaml(), tree.path("conf/twin")).unwrap();
    assert!(tree.refused().await.contains("has 2 hard links"));

    let kind = |file: Fact<ConfigFile>| file.why().map(|why| why.kind);
    for made in ["rm -f F; mkdir F", "rm -f F; mkfifo F", "rm -f F; ln -s /dev/zero F"] {
        let tree = Tree::new();
        assert!(run("sh", &["-c", &made.replace('F', &text(&tree.yaml()))]).is_some());
        assert_eq!(kind(tree.read().await), Some(WhyKind::NotUnderstood), "{made}");
    }
    let tree = Tree::new();
    fs::write(tree.yaml(), vec![b'#'; 3_000_000]).unwrap();
    assert_eq!(kind(tree.read().await), Some(WhyKind::TooMuch));
    fs::remove_file(tree.yaml()).unwrap();
    assert_eq!(kind(tree.read().await), Some(WhyKind::FileNotFound));
    symlink("nowhere", tree.yaml()).unwrap();
    assert_eq!(kind(tree.read().await), Some(WhyKind::FileNotFound));
}

#[tokio::test]
async fn an_immutable_file_is_refused() {
    let tree = Tree::new();
    let yaml = text(&tree.yaml());
    if run("chattr", &["+i", &yaml]).is_none() {
        return left_out("chattr +i");
    }
    let said = tree.set().await;
    assert!(run("chattr", &["-i", &yaml]).is_some());
    let Err(EditError::Refused(why)) = said else { panic!("{said:?}") };
    assert!(why.text.contains("is immutable"), "{why}");
    assert_eq!((tree.text().as_str(), tree.others().len()), (OLD, 0));
}

#[tokio::test]
async fn programs_that_fail_leave_the_old_file_and_nothing_else() {
    let no_space = "echo 'x: No space left on device' >&2";
    for (program, body, part) in [
        ("dd", format!("head -c 9 > /dev/null; {no_space}; exit 1"), "there is no room"),
        ("dd", "cat > /dev/null".into(), "the new file is not what it should be"),
        ("cp", format!("{no_space}; exit 1"), "there is no room"),
        ("sync", "echo 'x: Input/output error' >&2; exit 1".into(), "Input/output error"),
        ("mv", "echo 'x: Device or resource busy' >&2; exit 1".into(), "mounted from elsewhere"),
        ("cp", "echo 'x: Read-only file system' >&2; exit 1".into(), "is read-only"),
    ] {
        let tree = Tree::new();
        tree.program(program, &body);
        let said = tree.refused().await;
        assert!(said.contains(part), "{program}: {said}");
    }
}

#[tokio::test]
async fn a_limit_on_file_sizes_leaves_the_old_file() {
    let tree = Tree::new();
    let long = format!("{OLD}\r\n{}", "# more\r\n".repeat(2_000));
    fs::write(tree.yaml(), &long).unwrap();
    let file = known(tree.read().await);
    tree.program("sh", "ulimit -f 8; PATH=${PATH#*:}; exec sh \"$@\"");
    let said = tree.replace(&file, STAMP).await;
    assert!(matches!(said, Err(EditError::Refused(_))), "{said:?}");
    assert!(tree.text() == long);
    assert_eq!(tree.others(), [""; 0]);
}

/// Runs the script where `mount` was run first, in a space of mounts of its own, and brings out
/// what it left there.
async fn behind_mount(tree: &Tree, mount: &str) -> Option<Result<Replaced, EditError>> {
    if !is_root() || run("unshare", &["-m", "true"]).is_none() {
        left_out("mounts, which take root and unshare");
        return None;
    }
    let file = known(tree.read().await);
    let conf = text(&tree.path("conf"));
    let out = text(&tree.path("out"));
    tree.program(
        "inside",
        &format!("{mount}\nPATH=${{PATH#*:}}\nsh \"$@\"\ncp -a '{conf}' '{out}'"),
    );
    tree.program("sh", "exec unshare -m inside \"$@\"");
    // The folder is `conf` there, so that its name says which it is.
    Some(tree.replace(&file, STAMP).await)
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_file_whole() {
    // Room for the file, then for one copy of it, then for two, at 4 KiB a page.
    let long = format!("{OLD}\r\n{}", "# more\r\n".repeat(4_000));
    for pages in [9, 12, 20] {
        let tree = Tree::new();
        fs::write(tree.yaml(), &long).unwrap();
        let mount = format!(
            "cp '{yaml}' '{keep}'\nmount -t tmpfs -o size={size}k tmpfs '{conf}'\ncp '{keep}' '{yaml}'",
            yaml = text(&tree.yaml()),
            keep = text(&tree.path("keep")),
            conf = text(&tree.path("conf")),
            size = 4 * pages,
        );
        let Some(said) = behind_mount(&tree, &mount).await else { return };
        let Err(EditError::Refused(why)) = said else { panic!("{pages} pages: {said:?}") };
        assert!(why.text.contains("there is no room"), "{why}");
        let left: Vec<_> = fs::read_dir(tree.path("out")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(fs::read_to_string(tree.path("out/cassandra.yaml")).unwrap() == long);
    }
}

#[tokio::test]
async fn a_file_that_is_mounted_or_read_only_is_refused() {
    for (mount, part) in [
        ("mount --bind F/cassandra.yaml F/cassandra.yaml", "mounted from elsewhere"),
        ("mount --bind F F; mount -o remount,bind,ro F", "is read-only"),
    ] {
        let tree = Tree::new();
        let mount = mount.replace('F', &text(&tree.path("conf")));
        let Some(said) = behind_mount(&tree, &mount).await else { return };
        let Err(EditError::Refused(why)) = said else { panic!("{mount}: {said:?}") };
        assert!(why.text.contains(part), "{why}");
        assert_eq!((tree.text().as_str(), tree.others().len()), (OLD, 0));
    }
}

#[tokio::test]
async fn another_account_owns_the_file_or_needs_sudo() {
    if !is_root() || run("setpriv", &["--reuid", "4321", "--clear-groups", "true"]).is_none() {
        return left_out("another account, which takes root");
    }
    let tree = Tree::new();
    let file = known(tree.read().await);
    for path in [tree.root.path().to_owned(), tree.path("conf"), tree.path("bin")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    tree.program("sh", "PATH=/usr/bin:/bin exec setpriv --reuid 4321 --clear-groups sh -c 'PATH=$0:$PATH; exec /bin/sh \"$@\"' \"${0%/*}\" \"$@\"");
    let refused = async |sudo: Sudo| {
        let said = tree.replace_with(&file, STAMP, sudo).await;
        let Err(EditError::Refused(why)) = said else { panic!("{said:?}") };
        assert_eq!((tree.text().as_str(), tree.others().len()), (OLD, 0));
        assert_eq!(why.kind, WhyKind::NotPermitted, "{why}");
        why.text
    };
    tree.program("sudo", "echo 'sudo: a password is required' >&2; exit 1");
    assert!(refused(Sudo::Auto).await.contains("sudo asks for a password"));
    assert!(refused(Sudo::Never).await.contains("the account may not"));

    // A folder that everybody may write does not make the account the file's owner.
    fs::set_permissions(tree.path("conf"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refused(Sudo::Never).await.contains("would not have the owner"));

    // Root's rights only for a path that the inventory names.
    let mut elsewhere = tree.spec(Sudo::Auto);
    elsewhere.paths.config = None;
    let said =
        config_file::replace(&tree.door(), &elsewhere, &file, &edit(&file), STAMP, LIMIT).await;
    assert!(
        matches!(&said, Err(EditError::Refused(why)) if !why.text.contains("sudo asks")),
        "{said:?}"
    );

    // The owner needs none.
    assert!(run("chown", &["-R", "4321", &text(&tree.path("conf"))]).is_some());
    tree.replace_with(&file, STAMP, Sudo::Auto).await.unwrap();
    assert_eq!(tree.text(), NEW);
}

#[tokio::test]
async fn sudo_runs_single_plain_programs_with_exact_paths() {
    let tree = Tree::new();
    let log = text(&tree.path("log"));
    tree.program(
        "sudo",
        &format!("[ \"$1 $2\" = '-n --' ] || exit 9; shift 2; echo \"$*\" >> '{log}'; exec \"$@\""),
    );
    let spec = tree.spec(Sudo::Always);
    let file = known(config_file::read(&tree.door(), &spec, &text(&tree.yaml()), LIMIT).await);
    tree.replace_with(&file, STAMP, Sudo::Always).await.unwrap();
    assert_eq!(tree.text(), NEW);
    let allowed = ["cat", "cp", "dd", "find", "mv", "readlink", "rm", "stat", "sync"];
    for line in fs::read_to_string(log).unwrap().lines() {
        assert!(allowed.contains(&line.split(' ').next().unwrap()), "{line}");
        assert!(line.contains(&text(tree.root.path())), "{line}");
    }
}

/// What is killed when the line is cut: all at once, or the shell first.
#[derive(Debug, Clone, Copy)]
enum Killed {
    All,
    Shell,
}

/// Makes the `cut`th program that is run kill, before or after it has done its work.
fn cut_at(tree: &Tree, cut: usize, is_after: bool, killed: Killed) {
    let count = text(&tree.path("count"));
    // A process group is all that `timeout` began; `$1` of the shell is the script's own process.
    let kill = match killed {
        Killed::All => "kill -9 0",
        Killed::Shell => "kill -9 $PPID",
    };
    for program in PROGRAMS {
        let at = format!("[ $n = {cut} ] && {kill}");
        let (before, after) = if is_after { ("", at.as_str()) } else { (at.as_str(), "") };
        tree.program(
            program,
            &format!(
                "n=1; while ! /bin/mkdir '{count}'-$n 2>/dev/null; do n=$((n + 1)); done
                {before}\nPATH=${{PATH#*:}} {program} \"$@\"; code=$?\n{after}\nexit $code"
            ),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_any_program_the_file_is_old_or_new_and_a_repeat_ends_well() {
    for killed in [Killed::All, Killed::Shell] {
        for is_after in [false, true] {
            let mut cuts = 0;
            for cut in 1..200 {
                let tree = Tree::new();
                let file = known(tree.read().await);
                cut_at(&tree, cut, is_after, killed);
                let said = tree.replace(&file, STAMP).await;
                let now = tree.text();
                let place = format!("{killed:?}, cut {cut}, after: {is_after}");
                assert!(now == OLD || now == NEW, "{place}: {now}");
                match &said {
                    Ok(_) => assert_eq!(now, NEW, "{place}"),
                    Err(EditError::Refused(_) | EditError::Changed) => {
                        assert_eq!(now, OLD, "{place}")
                    }
                    Err(EditError::Line(_)) => cuts += 1,
                }
                for program in PROGRAMS {
                    fs::remove_file(tree.path("bin").join(program)).unwrap();
                }
                let again = tree.replace(&file, "20261121T131501Z").await.unwrap();
                assert_eq!(tree.text(), NEW, "{place}");
                let others = tree.others();
                assert!(!others.is_empty() && others.len() <= 2, "{place}: {others:?}");
                for name in others {
                    assert!(!name.contains("tmp"), "{place}: {name}");
                    let copy = fs::read_to_string(tree.path("conf").join(name)).unwrap();
                    assert_eq!(copy, OLD, "{place}");
                }
                assert!(again.backup.is_some(), "{place}");
                if said.is_ok() && !tree.path(&format!("count-{cut}")).exists() {
                    break;
                }
            }
            assert!(matches!(killed, Killed::Shell) || cuts >= 30, "{cuts} cuts");
        }
    }
}
