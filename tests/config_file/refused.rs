//! Who may not change the file, and files that cannot be changed: nothing is, and nothing is left.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use ringhaul::cassandra::fact::{Fact, WhyKind};
use ringhaul::inventory::Sudo;
use ringhaul::node::config_file::{self, ConfigFile, EditError, Replaced};

use super::tree::{LIMIT, NEW, OLD, STAMP, Tree, edit, is_root, known, left_out, run, text};

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
    tree.program("small", "ulimit -f 8; exec sh \"$@\"");
    tree.shell("small");
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
    tree.program("inside", &format!("{mount}\nsh \"$@\"\ncp -a '{conf}' '{out}'"));
    tree.shell("unshare -m inside");
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
    for path in [tree.path(""), tree.path("conf"), tree.path("bin")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    tree.shell("setpriv --reuid 4321 --clear-groups sh");
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
async fn a_link_that_takes_the_files_place_meanwhile_leads_nobody_to_another_file() {
    let tree = Tree::new();
    let (yaml, log) = (text(&tree.yaml()), text(&tree.path("log")));
    let secret = text(&tree.path("secret"));
    fs::write(&secret, "only root reads this").unwrap();
    // The folder's owner waits for the new file, which is theirs to read.
    tree.program(
        "cp",
        &format!("/bin/cp \"$@\" || exit; mv '{yaml}' '{yaml}.away'; ln -s '{secret}' '{yaml}'"),
    );
    let seen =
        format!("case $1 in of=*) tee '{log}' | /bin/dd \"$@\" ;; *) /bin/dd \"$@\" ;; esac");
    tree.program("dd", &seen);
    assert!(tree.set().await.is_err());
    assert!(!fs::read_to_string(&log).unwrap().contains("only root"));
    assert_eq!(fs::read_to_string(secret).unwrap(), "only root reads this");
}

#[tokio::test]
async fn sudo_runs_single_plain_programs_with_exact_paths() {
    let tree = Tree::new();
    let log = text(&tree.path("log"));
    tree.program(
        "sudo",
        &format!("[ \"$1 $2\" = '-n --' ] || exit 9; shift 2; printf '%s\\n' \"$*\" >> '{log}'; exec \"$@\""),
    );
    let spec = tree.spec(Sudo::Always);
    let file = known(config_file::read(&tree.door(), &spec, &text(&tree.yaml()), LIMIT).await);
    tree.replace_with(&file, STAMP, Sudo::Always).await.unwrap();
    assert_eq!(tree.text(), NEW);
    let allowed = ["cat", "cp", "dd", "find", "mv", "readlink", "rm", "stat", "sync"];
    for line in fs::read_to_string(log).unwrap().lines() {
        assert!(allowed.contains(&line.split(' ').next().unwrap()), "{line}");
        assert!(line.contains(&text(&tree.path(""))), "{line}");
    }
}
