//! Lines for sudoers or doas.conf that allow what verbs run on a node, and no more.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::inventory::{Method, PasswordOf, Rights};
use crate::node::programs::{Goes, NODETOOL, Program};

/// Whom the lines are for, and what they allow.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The verbs, each once.
    pub verbs: Vec<Goes>,
    /// The login.
    pub account: String,
    /// Whose rights it gets, how, and whether by a password.
    pub rights: Rights,
    /// Whether nodetool is run with them too.
    pub has_nodetool: bool,
    /// The paths of programs on a node. Those that are not in it lie in `folders`.
    pub paths: BTreeMap<String, String>,
    /// Where programs usually lie.
    pub folders: Vec<&'static str>,
    /// The node whose paths these are.
    pub node: Option<String>,
}

impl Wanted {
    /// The programs of a verb.
    pub fn programs(&self, verb: Goes) -> Vec<Program> {
        let mut programs = verb.programs();
        programs.extend(self.has_nodetool.then_some(NODETOOL));
        programs.sort_by_key(|program| program.name);
        programs
    }

    fn paths(&self, program: &str) -> Vec<String> {
        match self.paths.get(program) {
            Some(path) => vec![path.clone()],
            None => self.folders.iter().map(|folder| format!("{folder}/{program}")).collect(),
        }
    }

    fn options(&self) -> String {
        let mut options = format!(" --user {}", self.account);
        if self.rights.user != "root" {
            let _ = write!(options, " --as {}", self.rights.user);
        }
        if self.rights.password != PasswordOf::None {
            options.push_str(" --password");
        }
        if self.rights.method == Method::Doas {
            options.push_str(" --doas");
        }
        options
    }
}

/// Why arguments are left open: the same for both programs.
const OPEN: &str = "\
# Arguments are left open. What is read and removed is known only when a run lists it, and a
# pattern would be no fence: a `*` of sudoers stands for spaces and slashes too, so what allows
# `cat /var/lib/cassandra/*` allows `cat /var/lib/cassandra/x /etc/shadow` as well.
";

/// Returns the file, whole.
pub fn render(wanted: &Wanted) -> String {
    let mut text = String::new();
    match wanted.rights.method {
        Method::Sudo => sudoers(&mut text, wanted),
        Method::Doas => doas(&mut text, wanted),
    }
    text
}

fn head(text: &mut String, wanted: &Wanted, file: &str, check: &str) {
    let names: Vec<&str> = wanted.verbs.iter().map(|verb| verb.name()).collect();
    let (verbs, user) = (names.join(" "), &wanted.rights.user);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# {file}: what ringhaul runs on a node with rights of {user}.\n\
         # Made by ringhaul {} sudoers {verbs}{}\n# {check}\n",
        env!("CARGO_PKG_VERSION"),
        wanted.options(),
    );
    match &wanted.node {
        Some(node) => {
            let _ = writeln!(text, "# The paths are those of {node}.");
        }
        None if wanted.rights.method == Method::Sudo => {
            text.push_str("# The paths are the usual ones; --node NODE asks a node for its own.\n");
        }
        None => {}
    }
    text.push_str("#\n");
    text.push_str(OPEN);
    text.push_str("#\n");
    text.push_str(&warning(user));
}

/// What the lines are worth.
fn warning(user: &str) -> String {
    match user {
        "root" => "\
# So this is as good as root for whoever has the account: find, tar, cp, dd and mv can run or
# replace anything. `--as cassandra` gives Cassandra's rights in place of root's, which do for
# Cassandra's own files; let cassandra.yaml belong to cassandra then, with its folder, or change it
# by other means.
"
        .to_owned(),
        user => format!(
            "\
# So this is as good as {user} for whoever has the account: what {user} may read, change and
# remove, no more. A file that {user} may not write, such as a cassandra.yaml of root's, is refused.
"
        ),
    }
}

fn sudoers(text: &mut String, wanted: &Wanted) {
    let check = "Check it with `visudo -cf FILE`; owner root, mode 0440.";
    head(text, wanted, "/etc/sudoers.d/ringhaul", check);
    let Rights { user, password, .. } = &wanted.rights;
    let account = &wanted.account;
    let names: Vec<String> = wanted.verbs.iter().map(|verb| alias(*verb)).collect();
    for verb in &wanted.verbs {
        let programs = wanted.programs(*verb);
        let _ = write!(text, "\n# {}:\n", verb.name());
        let width = programs.iter().map(|program| program.name.len()).max().unwrap_or(0);
        for Program { name, what_for } in &programs {
            let _ = writeln!(text, "#   {name:width$}  {what_for}");
        }
        let paths: Vec<String> =
            programs.iter().flat_map(|program| wanted.paths(program.name)).collect();
        let _ = writeln!(text, "Cmnd_Alias {} = {}", alias(*verb), folded(&paths));
    }
    let all = names.join(", ");
    let _ = write!(
        text,
        "\n# There is no terminal; and what sudo logs of a stream it may cut short.\n\
         Defaults:{account} !requiretty\n"
    );
    for name in &names {
        let _ = writeln!(text, "Defaults!{name} !log_input, !log_output");
    }
    let tag = if *password == PasswordOf::None { "NOPASSWD: " } else { "" };
    let _ = writeln!(text, "\n{account} ALL = ({user}) {tag}{all}");
}

fn alias(verb: Goes) -> String {
    format!("RINGHAUL_{}", verb.name().to_uppercase())
}

/// A list over several lines.
fn folded(paths: &[String]) -> String {
    let (mut text, mut line) = (String::new(), 0);
    for (index, path) in paths.iter().enumerate() {
        if index > 0 {
            text.push(',');
            let end = if line + path.len() > 60 { " \\\n    " } else { " " };
            text.push_str(end);
            line = if end.len() > 1 { 0 } else { line };
        }
        line += path.len() + 2;
        text.push_str(path);
    }
    text
}

fn doas(text: &mut String, wanted: &Wanted) {
    head(text, wanted, "doas.conf", "Add it to /etc/doas.conf; check it with `doas -C FILE`.");
    // doas compares the word as it is given, and looks for it in safe folders alone.
    text.push_str(
        "#\n# Names without folders: doas looks for them in the system's folders alone.\n",
    );
    let (account, user) = (&wanted.account, &wanted.rights.user);
    let mut of: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for verb in &wanted.verbs {
        for Program { name, what_for } in wanted.programs(*verb) {
            of.entry(name).or_default().push((verb.name(), what_for));
        }
    }
    for (name, uses) in of {
        text.push('\n');
        for (verb, what_for) in uses {
            let _ = writeln!(text, "# {verb}: {what_for}");
        }
        let _ = writeln!(text, "permit nopass {account} as {user} cmd {name}");
    }
}
