//! The cassandra.yaml of releases, changed in every form operators leave it in, and read again by
//! SnakeYAML, Cassandra's own reader. It needs no lab, and what `integration/ring install` fetched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringhaul::cassandra::config;
use ringhaul::cassandra::edit::set_boolean;

use super::lab::project;

const KEY: &str = "incremental_backups";

/// Path → key → value, as SnakeYAML reads it.
type Read = BTreeMap<String, BTreeMap<String, String>>;

fn cache() -> PathBuf {
    std::env::var_os("RINGHAUL_CACHE").map_or_else(
        || {
            PathBuf::from(std::env::var_os("HOME").unwrap_or("/root".into()))
                .join(".cache/ringhaul")
        },
        PathBuf::from,
    )
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.ends_with(end) && !name.starts_with('.')
        })
        .collect();
    files.sort();
    files
}

/// The forms a stock file may have been given.
fn forms(stock: &str) -> Vec<(&'static str, String)> {
    let line = "\nincremental_backups: false\n";
    assert!(stock.contains(line), "the stock file sets it");
    vec![
        ("as it is", stock.to_owned()),
        ("CRLF", stock.replace('\n', "\r\n")),
        ("BOM", format!("\u{feff}{stock}")),
        ("commented", stock.replace(line, "\n# incremental_backups: false\n")),
        ("absent", stock.replace(line, "\n")),
        ("absent, no end", stock.replace(line, "\n").trim_end().to_owned()),
        ("quoted", stock.replace(line, "\n\"incremental_backups\" : 'no' # why\n")),
        ("empty", stock.replace(line, "\nincremental_backups:\n")),
        ("next line", stock.replace(line, "\nincremental_backups:\n    off\n")),
        ("indented", format!("  {}", stock.replace('\n', "\n  ").trim_end())),
        ("markers", format!("---\n{stock}...\n")),
        ("not ASCII", format!("# \u{e9}\u{1d11e}\u{5099}\n{stock}")),
    ]
}

#[test]
fn of_a_stock_file_only_the_setting_changes_as_cassandras_own_reader_sees_it() {
    let stocks = files(&cache().join("stock"), ".yaml");
    assert!(stocks.len() >= 2, "run `integration/ring install` first: {stocks:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let mut pairs = Vec::new();
    for path in stocks {
        let stock = fs::read_to_string(&path).expect("a stock file");
        for (form, text) in forms(&stock) {
            let name = path.file_stem().expect("a name").to_string_lossy();
            let name = format!("{name}, {form}");
            let edit = set_boolean(text.as_bytes(), KEY, true).expect(&name).expect(&name);
            let new = edit.apply(text.as_bytes());
            assert_eq!(set_boolean(&new, KEY, true), Ok(None), "{name}");
            let new = String::from_utf8(new).expect(&name);
            let read = config::parse(&new).expect(&name).incremental_backups;
            assert_eq!(read.known(), Some(&true), "{name}");
            one_line_differs(&text, &new, &name);
            let old_path = folder.path().join(format!("{name}.old"));
            let new_path = folder.path().join(format!("{name}.new"));
            fs::write(&old_path, text).expect("written");
            fs::write(&new_path, new).expect("written");
            pairs.push((old_path, new_path));
        }
    }
    let Some(read) = read_by_snakeyaml(pairs.iter().flat_map(|(old, new)| [old, new])) else {
        return;
    };
    for (old, new) in pairs {
        let settings = |path: &Path| read[&path.display().to_string()].clone();
        let (mut old, mut after) = (settings(&old), settings(&new));
        old.remove(KEY);
        assert_eq!(
            after.remove(KEY).map(|value| value.replace("yes", "true")),
            Some("true".into())
        );
        assert!(old.len() > 20, "{old:?}");
        assert_eq!(old, after, "{}", new.display());
    }
}

fn one_line_differs(old: &str, new: &str, name: &str) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let behind = behind.min(old.len() - same).min(new.len() - same);
    assert_eq!(new.len() - same - behind, 1, "{name}");
    assert!(old.len() - same - behind <= 1, "{name}");
}

/// `None`, and a word about it, where there is no Java that compiles.
#[expect(clippy::print_stderr, reason = "what is not tested must not pass in silence")]
fn read_by_snakeyaml<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Option<Read> {
    let jars = files(&cache().join("jars"), "").into_iter();
    let jar = jars.flat_map(|version| files(&version.join("deps"), ".jar")).find(|jar| {
        jar.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snakeyaml-"))
    });
    let java = std::env::var("JAVA_HOME").map_or("java".into(), |home| format!("{home}/bin/java"));
    let output = Command::new(java)
        .arg("-cp")
        .arg(jar.expect("run `integration/ring install` first: no SnakeYAML"))
        .arg(project().join("integration/rig/ReadYaml.java"))
        .args(paths)
        .output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        // A JRE without a compiler cannot run a source file.
        other => {
            let said = other.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
            let is_jre = said.as_ref().map_or(true, |said| said.contains("jdk.compiler"));
            assert!(is_jre, "SnakeYAML read otherwise than ringhaul: {said:?}");
            eprintln!("LEFT OUT: SnakeYAML's own reading, which takes a JDK 17");
            return None;
        }
    };
    let mut read = Read::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let mut words = line.splitn(3, '\t').map(str::to_owned);
        if let (Some(path), Some(key), Some(value)) = (words.next(), words.next(), words.next()) {
            read.entry(path).or_default().insert(key, value);
        }
    }
    Some(read)
}
