//! A node's files in a folder of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringhaul::cassandra::sets::FoundSet;
use ringhaul::cassandra::shelf::Shelf;
use ringhaul::inventory::{NodeSpec, Paths, Sudo};
use ringhaul::node::Endpoint;
use ringhaul::node::sets::{self, Listed};

use crate::local::Local;

pub(crate) const ID: &str = "6a1adbe06a0211f184742b61a3e0ec16";
pub(crate) const LATER_ID: &str = "f7146460e54c11f19cc7876c33cf10d3";
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a set of [`Tree::set`] holds.
pub(crate) const COMPONENTS: [&str; 4] = ["Data.db", "Digest.crc32", "Filter.db", "TOC.txt"];

pub(crate) struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self { root: tempfile::tempdir().unwrap() };
        tree.write("conf/cassandra.yaml", "incremental_backups: true\n");
        fs::create_dir_all(tree.path("bin")).unwrap();
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.path(path).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a set; its digest is that of its data, `12345`.
    pub(crate) fn set(&self, folder: &str, descriptor: &str) {
        let toc = COMPONENTS.map(|component| format!("{component}\n")).concat();
        for (component, text) in COMPONENTS.iter().zip(["12345", "3421846044", "", &toc]) {
            self.write(&format!("{folder}/{descriptor}-{component}"), text);
        }
    }

    pub(crate) fn link(&self, to: &str, from: &str) {
        let from = self.path(from);
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(self.path(to), from).unwrap();
    }

    /// Puts a program of this name before the real one.
    pub(crate) fn program(&self, name: &str, body: &str) {
        self.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{body}\n"));
        let may_run = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(&format!("bin/{name}")), may_run).unwrap();
    }

    /// A sudo that does what it is asked, and keeps in mind what that was.
    pub(crate) fn sudo(&self) -> FalseSudo<'_> {
        let log = self.text("sudo.log");
        let _ = fs::remove_file(&log);
        self.program("sudo", &format!("shift 2; echo \"$1\" >>{log}; exec \"$@\""));
        FalseSudo(self)
    }

    pub(crate) fn door(&self) -> Local {
        Local { bin: self.path("bin") }
    }

    pub(crate) fn spec(&self, data: &[&str]) -> NodeSpec {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        NodeSpec {
            paths: Paths {
                nodetool: None,
                config: Some(text(&self.path("conf/cassandra.yaml"))),
                data: data.iter().map(|data| text(&self.path(data))).collect(),
            },
            sudo: Sudo::Never,
            ..NodeSpec::at(Endpoint { host: "here".into(), ..Endpoint::default() })
        }
    }

    pub(crate) async fn list(&self, data: &[&str], snapshot: Option<&str>) -> Listed {
        sets::list(&self.door(), &self.spec(data), snapshot, LIMIT).await
    }

    pub(crate) async fn shelf(&self, data: &[&str], snapshot: Option<&str>) -> Shelf {
        let listed = self.list(data, snapshot).await;
        listed.sets.known().unwrap_or_else(|| panic!("{:?}", listed.sets)).clone()
    }

    /// The sets in `data`.
    pub(crate) async fn sets(&self) -> Vec<FoundSet> {
        self.shelf(&["data"], None).await.sets
    }
}

pub(crate) struct FalseSudo<'a>(&'a Tree);

impl FalseSudo<'_> {
    pub(crate) fn asked(&self) -> Vec<String> {
        let log = fs::read_to_string(self.0.path("sudo.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub(crate) fn refuse(&self) {
        self.0.program("sudo", "echo 'sudo: a password is required' >&2; exit 1");
    }
}

/// `place: components` of each.
pub(crate) fn shown(sets: &[FoundSet]) -> Vec<String> {
    let line = |set: &FoundSet| {
        let components: Vec<_> = set.files.iter().map(|file| &*file.component).collect();
        format!("{}: {}", set.place, components.join(" "))
    };
    sets.iter().map(line).collect()
}
