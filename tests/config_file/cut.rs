//! The line cut, or the node dead, at every program the script runs.

use std::fs;
use std::time::Duration;

use ringhaul::node::config_file::EditError;

use super::tree::{NEW, OLD, STAMP, Tree, known, text};

/// The programs that the script runs; the shell is not one of them.
const PROGRAMS: [&str; 12] =
    ["cat", "cp", "dd", "find", "head", "id", "mv", "readlink", "rm", "sort", "stat", "sync"];

/// What is killed when the line is cut: all at once, or the shell first.
#[derive(Debug, Clone, Copy)]
enum Killed {
    All,
    Shell,
}

/// Makes the `cut`th program that is run kill, before or after it has done its work.
fn cut_at(tree: &Tree, cut: usize, is_after: bool, killed: Killed) {
    let count = text(&tree.path("count"));
    // A process group is `timeout` and all that it began.
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
                "set -C; n=1; until {{ true > '{count}'-$n; }} 2>/dev/null; do n=$((n + 1)); done
                {before}\nPATH=${{PATH#*:}} {program} \"$@\"; code=$?\n{after}
                true > '{count}'-$n.end; exit $code"
            ),
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_any_program_the_file_is_old_or_new_and_a_repeat_ends_well() {
    let all = [(Killed::All, false), (Killed::All, true), (Killed::Shell, false)];
    let sweeps = all.map(|(killed, is_after)| tokio::spawn(cut_everywhere(killed, is_after)));
    for sweep in sweeps {
        sweep.await.unwrap();
    }
}

/// Waits, a while, for programs whose shell is gone.
async fn await_orphans(tree: &Tree) {
    for _ in 0..100 {
        let begun =
            (1..).map(|n| tree.path(&format!("count-{n}"))).take_while(|path| path.exists());
        if begun.into_iter().all(|path| path.with_extension("end").exists()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn cut_everywhere(killed: Killed, is_after: bool) {
    let mut cuts = 0;
    for cut in 1..200 {
        let tree = Tree::new();
        let file = known(tree.read().await);
        cut_at(&tree, cut, is_after, killed);
        let said = tree.replace(&file, STAMP).await;
        if let Killed::Shell = killed {
            await_orphans(&tree).await;
        }
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
    assert!(matches!(killed, Killed::Shell) || cuts >= 25, "{cuts} cuts");
}
