//! Login shells, what their start-up files print, and where nothing may be written or run.

use ringhaul::node::{Connect, Node};

use super::servers::{Program, Setup};
use super::{Cell, Place, command, matrix, runtime, servers};

const SUITES: [&str; 3] = ["bullseye", "bookworm", "trixie"];

/// What chatty start-up files print, in the words of each shell.
const BASH: &[(&str, &str)] = &[(
    "home/ops/.bashrc",
    "echo 'Welcome to ACME'; echo 'all use is logged' >&2; printf 'no line end'; alias exec=false\n",
)];
const FISH: &[(&str, &str)] =
    &[("home/ops/.config/fish/config.fish", "echo 'Welcome to ACME'\necho logged >&2\n")];
const CSH: &[(&str, &str)] = &[(
    "home/ops/.cshrc",
    "echo 'Welcome to ACME'\nsh -c 'echo logged >&2'\nalias ls 'ls -F'\nset noclobber\n",
)];

const fn shell<'a>(shell: &'a str, files: &'a [(&'a str, &'a str)]) -> Cell<'a> {
    Cell { name: shell, setup: Setup { shell, files, ..Setup::PLAIN }, ..Cell::PLAIN }
}

const CELLS: &[Cell<'_>] = &[
    shell("/bin/dash", &[]),
    shell("/bin/bash", BASH),
    shell("/usr/bin/fish", FISH),
    shell("/usr/bin/tcsh", CSH),
    shell("/bin/csh", CSH),
    Cell {
        name: "dropbear and fish",
        setup: Setup {
            program: Program::Dropbear,
            shell: "/usr/bin/fish",
            files: FISH,
            ..Setup::PLAIN
        },
        ..Cell::PLAIN
    },
    Cell {
        name: "dropbear and tcsh",
        setup: Setup {
            program: Program::Dropbear,
            shell: "/usr/bin/tcsh",
            files: CSH,
            ..Setup::PLAIN
        },
        ..Cell::PLAIN
    },
    Cell {
        name: "nothing may be run in home and /tmp",
        setup: Setup {
            mounts: "mount --bind home home; mount -o remount,bind,noexec home; \
                     mount -t tmpfs -o noexec,mode=1777 tmpfs tmp",
            ..Setup::PLAIN
        },
        ..Cell::PLAIN
    },
    Cell {
        name: "nothing may be written",
        setup: Setup {
            mounts: "mount -o remount,ro .; mount -t tmpfs -o mode=755 tmpfs run; mkdir run/sshd",
            ..Setup::PLAIN
        },
        ..Cell::PLAIN
    },
    Cell {
        name: "nothing may be written, and bash speaks German",
        setup: Setup {
            mounts: "mount -o remount,ro .; mount -t tmpfs -o mode=755 tmpfs run; mkdir run/sshd",
            shell: "/bin/bash",
            files: &[("home/ops/.bashrc", "export LC_ALL=de_DE.UTF-8\necho 'Grüß Gott'\n")],
            ..Setup::PLAIN
        },
        ..Cell::PLAIN
    },
];

#[test]
fn login_shells_of_bullseye_run_our_commands() {
    matrix(SUITES[0], CELLS);
}

#[test]
fn login_shells_of_bookworm_run_our_commands() {
    matrix(SUITES[1], CELLS);
}

#[test]
fn login_shells_of_trixie_run_our_commands() {
    matrix(SUITES[2], CELLS);
}

#[test]
fn arguments_arrive_as_they_were_given_and_messages_are_in_english() {
    let words =
        ["%s|", "a b", "*", "$HOME", "`id`", "a;b", "!x", "#c", "{a,b}", "\"", "'", "ü", ""];
    let want = words[1..].iter().map(|word| format!("{word}|")).collect::<String>();
    for (suite, shell) in
        [("bullseye", "/usr/bin/fish"), ("bookworm", "/bin/bash"), ("trixie", "/usr/bin/tcsh")]
    {
        if !servers::is_here(suite) {
            continue;
        }
        let setup = Setup { suite, shell, lines: "SetEnv LC_ALL=de_DE.UTF-8", ..Setup::PLAIN };
        let place = Place::of(&Cell { setup, ..Cell::PLAIN });
        let german = place.ssh("ls /nirgends").1;
        assert!(german.contains("Datei oder Verzeichnis nicht gefunden"), "{suite}: {german}");
        runtime().block_on(async {
            let node = place.ours().connect(&Place::endpoint()).await.unwrap();
            let argv = [&["/usr/bin/printf"], &words[..]].concat();
            let printed = node.run(&command(&argv)).await.unwrap().stdout;
            assert_eq!(String::from_utf8_lossy(&printed), want, "{suite}, {shell}");
            let ended = node.run(&command(&["ls", "/nirgends"])).await.unwrap().ended;
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(said.contains("No such file or directory"), "{suite}, {shell}: {said}");
        });
    }
}
