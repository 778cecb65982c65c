//! A node's cassandra.yaml in a folder made here, and a door to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ringhaul::cassandra::edit::{Edit, set_boolean};
use ringhaul::cassandra::fact::Fact;
use ringhaul::inventory::{NodeSpec, Paths, Sudo};
use ringhaul::node::Endpoint;
use ringhaul::node::config_file::{self, ConfigFile, EditError, Replaced};

use super::local::Local;

pub(crate) const OLD: &str =
    "# ü\r\ncluster_name: 'x'\r\nincremental_backups: false # why\r\nlast: 1";
pub(crate) const NEW: &str =
    "# ü\r\ncluster_name: 'x'\r\nincremental_backups: true # why\r\nlast: 1";
pub(crate) const STAMP: &str = "20261121T131500Z";
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A node's cassandra.yaml in a folder of its own, and what comes first in PATH there.
pub(crate) struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["bin", "conf"] {
            fs::create_dir(tree.path(folder)).unwrap();
        }
        fs::write(tree.yaml(), OLD).unwrap();
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn yaml(&self) -> PathBuf {
        self.path("conf/cassandra.yaml")
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.yaml()).unwrap()
    }

    /// Puts a program first in PATH.
    pub(crate) fn program(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the script under `shell`, which may begin with other programs. What calls the script is
    /// `timeout -k 2 SECONDS sh -s -- …`.
    pub(crate) fn shell(&self, shell: &str) {
        self.program("timeout", &format!("shift 4; exec {shell} \"$@\""));
    }

    /// Names beside cassandra.yaml.
    pub(crate) fn others(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("conf"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "cassandra.yaml")
            .collect();
        names.sort();
        names
    }

    pub(crate) fn spec(&self, sudo: Sudo) -> NodeSpec {
        NodeSpec {
            paths: Paths { config: Some(text(&self.yaml())), ..Paths::default() },
            sudo,
            ..NodeSpec::at(Endpoint { host: "here".into(), ..Endpoint::default() })
        }
    }

    pub(crate) fn door(&self) -> Local {
        Local { bin: self.path("bin") }
    }

    pub(crate) async fn read(&self) -> Fact<ConfigFile> {
        config_file::read(&self.door(), &self.spec(Sudo::Never), &text(&self.yaml()), LIMIT).await
    }

    pub(crate) async fn replace(
        &self,
        file: &ConfigFile,
        stamp: &str,
    ) -> Result<Replaced, EditError> {
        self.replace_with(file, stamp, Sudo::Never).await
    }

    pub(crate) async fn replace_with(
        &self,
        file: &ConfigFile,
        stamp: &str,
        sudo: Sudo,
    ) -> Result<Replaced, EditError> {
        let spec = self.spec(sudo);
        config_file::replace(&self.door(), &spec, file, &edit(file), stamp, LIMIT).await
    }

    /// Reads and changes.
    pub(crate) async fn set(&self) -> Result<Replaced, EditError> {
        let file = known(self.read().await);
        self.replace(&file, STAMP).await
    }

    /// Asserts that nothing was changed and nothing is left, and returns the reason.
    pub(crate) async fn refused(&self) -> String {
        let before = self.others();
        let Err(EditError::Refused(why)) = self.set().await else { panic!("not refused") };
        assert_eq!((self.text().as_str(), self.others()), (OLD, before), "{why}");
        why.text
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

pub(crate) fn known(file: Fact<ConfigFile>) -> ConfigFile {
    match file {
        Fact::Known(file) => file,
        Fact::Unknown(why) => panic!("{why:?}"),
    }
}

pub(crate) fn edit(file: &ConfigFile) -> Edit {
    set_boolean(&file.bytes, "incremental_backups", true).unwrap().unwrap()
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Says aloud that a part of a test could not be run here.
#[expect(clippy::print_stderr, reason = "what is not tested must not pass in silence")]
pub(crate) fn left_out(what: &str) {
    eprintln!("LEFT OUT: {what}");
}

pub(crate) fn is_root() -> bool {
    run("id", &["-u"]).as_deref() == Some("0\n")
}

pub(crate) fn text_of(tree: &Tree) -> String {
    text(&fs::canonicalize(tree.yaml()).unwrap())
}
