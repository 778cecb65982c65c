//! What is laid over the operator's ssh_config, and the words a master is started with.
//!
//! The first value of a setting counts, so a file of ours says first what has to be, then
//! includes the operator's files, then says what is good for want of better. ssh hands the file
//! on to the jump hosts, which are thus judged and asked by the same rules.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::super::ssh::{Options, check_host};
use crate::node::{AuthMethod, Endpoint, NodeError};
use crate::text::one_line;

/// Three SYNs of a lossy network take 7 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The files ssh reads itself when none is named.
const USUAL_FILES: [&str; 2] = ["~/.ssh/config", "/etc/ssh/ssh_config"];

/// What has to be, whatever the operator's files say. The log level is that of jump hosts, whose
/// ssh tells with it why it could not go on to the node.
const FIXED: &str = "\
  ClearAllForwardings yes
  EscapeChar none
  ForwardAgent no
  ForwardX11 no
  LogLevel INFO
  NumberOfPasswordPrompts 1
  PermitLocalCommand no
  RemoteCommand none
  RequestTTY no
  Tunnel no
  VisualHostKey no
";

/// How a master is started.
#[derive(Debug)]
pub(super) struct Orders {
    /// The text of the config.
    pub(super) config: String,
    /// What is said of the node alone, and not of the jump hosts before it.
    pub(super) args: Vec<OsString>,
}

/// Returns how the master for `endpoint` is started. `can_ask`: somebody answers questions.
///
/// # Errors
/// [`NodeError::Local`]: a name or a path that cannot be said to ssh, a key file or config that
/// is not there.
pub(super) fn orders(
    endpoint: &Endpoint,
    options: &Options,
    can_ask: bool,
) -> Result<Orders, NodeError> {
    Ok(Orders { config: config(endpoint, options, can_ask)?, args: args(endpoint)? })
}

fn args(endpoint: &Endpoint) -> Result<Vec<OsString>, NodeError> {
    check_host(&endpoint.host)?;
    let mut args: Vec<OsString> = Vec::new();
    if let Some(user) = &endpoint.user {
        args.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = endpoint.port {
        args.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(address) = &endpoint.address {
        check_host(address)?;
        // An IPv6 zone stands behind a percent sign.
        let address = address.replace('%', "%%");
        args.extend(["-o".into(), format!("HostName={address}").into()]);
    }
    if let Some(jumps) = &endpoint.proxy_jump {
        for jump in jumps {
            check_jump(jump)?;
        }
        // Each of the two keeps the other of ssh_config from counting.
        let way = match jumps.is_empty() {
            true => "ProxyCommand=none".to_owned(),
            false => format!("ProxyJump={}", jumps.join(",")),
        };
        args.extend(["-o".into(), way.into()]);
    }
    args.extend(["--".into(), endpoint.host.clone().into()]);
    Ok(args)
}

/// Refuses what is no `[user@]host[:port]`: ssh hands it to a shell.
fn check_jump(jump: &str) -> Result<(), NodeError> {
    let rest = jump.strip_prefix("ssh://").unwrap_or(jump);
    let (user, host) = rest.rsplit_once('@').unwrap_or(("u", rest));
    check_host(user).and_then(|()| check_host(host)).map_err(|_| {
        let jump = one_line(jump.as_bytes(), 80);
        NodeError::Local(format!("not a jump host, [user@]host[:port]: {jump}"))
    })
}

fn config(endpoint: &Endpoint, options: &Options, can_ask: bool) -> Result<String, NodeError> {
    let mut text = "Host *\n".to_owned();
    for file in &endpoint.identity_files {
        let _ = writeln!(text, "  IdentityFile {}", quoted(key_file(file)?, true)?);
    }
    if !endpoint.identity_files.is_empty() {
        text.push_str("  IdentitiesOnly yes\n");
    }
    if !endpoint.known_hosts.is_empty() {
        let files = endpoint.known_hosts.iter().map(|file| quoted(file, true));
        let files = files.collect::<Result<Vec<_>, _>>()?.join(" ");
        let _ = writeln!(text, "  UserKnownHostsFile {files}\n  GlobalKnownHostsFile /dev/null");
    }
    let checking = if options.accept_new_host_keys { "accept-new" } else { "yes" };
    let _ = writeln!(text, "  StrictHostKeyChecking {checking}");
    for (method, name) in [
        (AuthMethod::KeyboardInteractive, "KbdInteractiveAuthentication"),
        (AuthMethod::Password, "PasswordAuthentication"),
    ] {
        let allowed = if endpoint.auth.contains(&method) { "yes" } else { "no" };
        let _ = writeln!(text, "  {name} {allowed}");
    }
    if !can_ask {
        text.push_str("  BatchMode yes\n");
    }
    if let Some(limit) = options.connect_timeout {
        let _ = writeln!(text, "  ConnectTimeout {}", seconds(limit));
    }
    text.push_str(FIXED);
    for file in included(options)? {
        let _ = writeln!(text, "Include {file}");
    }
    let _ = writeln!(
        text,
        "Host *\n  ConnectTimeout {}\n  ServerAliveInterval {}\n  ServerAliveCountMax {}",
        seconds(CONNECT_TIMEOUT),
        seconds(options.keepalive_interval),
        options.keepalive_max,
    );
    Ok(text)
}

/// The operator's files, as `Include` takes them.
fn included(options: &Options) -> Result<Vec<String>, NodeError> {
    let Some(file) = &options.config_file else {
        return Ok(USUAL_FILES.map(str::to_owned).to_vec());
    };
    if file.as_os_str() == "none" {
        return Ok(Vec::new());
    }
    let local = |problem: &str| {
        NodeError::Local(one_line(format!("{}: {problem}", file.display()).as_bytes(), 300))
    };
    // Include passes over a file that is not there.
    std::fs::File::open(file).map_err(|error| local(&error.to_string()))?;
    let whole = std::path::absolute(file).map_err(|error| local(&error.to_string()))?;
    let text = quoted(&whole, false)?;
    if text.contains(['*', '?', '[', '\\']) {
        return Err(local("with transport openssh its path may hold no *, ?, [ nor \\"));
    }
    Ok(vec![text])
}

/// Returns a key file that was named, which has to be there; for a key of the agent its public
/// half is enough.
fn key_file(file: &Path) -> Result<&Path, NodeError> {
    let home = |rest: &Path| etcetera::home_dir().ok().map(|home| home.join(rest));
    let place = match file.strip_prefix("~") {
        Ok(rest) => home(rest).unwrap_or_else(|| file.to_owned()),
        Err(_) => file.to_owned(),
    };
    let mut public = place.clone().into_os_string();
    public.push(".pub");
    if place.exists() || Path::new(&public).exists() {
        return Ok(file);
    }
    let text = format!("{}: no such key file", place.display());
    Err(NodeError::Local(one_line(text.as_bytes(), 300)))
}

/// Returns a path as one word of ssh_config. `tokens`: a percent sign begins a token there.
fn quoted(path: &Path, tokens: bool) -> Result<String, NodeError> {
    let text = path.to_str().filter(|text| {
        !text.contains(['"', '\\']) && !text.contains("${") && !text.contains(char::is_control)
    });
    let Some(text) = text else {
        let shown = one_line(path.to_string_lossy().as_bytes(), 200);
        return Err(NodeError::Local(format!("{shown}: a path that ssh_config cannot hold")));
    };
    let text = if tokens { text.replace('%', "%%") } else { text.to_owned() };
    Ok(format!("\"{text}\""))
}

/// Whole seconds, as ssh takes them; 0 would be none.
fn seconds(limit: Duration) -> u64 {
    let whole = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    whole.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(endpoint: &Endpoint) -> Result<(String, String), NodeError> {
        let options = Options { config_file: Some("none".into()), ..Options::default() };
        let orders = orders(endpoint, &options, false)?;
        let args: Vec<_> = orders.args.iter().map(|arg| arg.to_string_lossy()).collect();
        Ok((args.join(" "), orders.config))
    }

    #[test]
    fn what_the_operator_wrote_is_said_to_ssh_and_stands_before_its_own_files() {
        let endpoint = Endpoint {
            host: "n1".into(),
            address: Some("fe80::1%eth0".into()),
            port: Some(2222),
            user: Some("ops".into()),
            known_hosts: vec!["/a b/100%".into()],
            proxy_jump: Some(vec!["u@b1:22".into(), "[::1]:22".into()]),
            auth: vec![AuthMethod::Password],
            ..Endpoint::default()
        };
        let (args, config) = ordered(&endpoint).unwrap();
        assert_eq!(
            args,
            "-l ops -p 2222 -o HostName=fe80::1%%eth0 -o ProxyJump=u@b1:22,[::1]:22 -- n1"
        );
        for line in [
            "  UserKnownHostsFile \"/a b/100%%\"\n",
            "  StrictHostKeyChecking yes\n",
            "  KbdInteractiveAuthentication no\n  PasswordAuthentication yes\n",
            "  BatchMode yes\n",
            "  ServerAliveInterval 15\n  ServerAliveCountMax 3\n",
        ] {
            assert!(config.contains(line), "{line} is not in {config}");
        }
        assert!(!config.contains("Include") && !config.contains("IdentitiesOnly"), "{config}");

        let asked = orders(&endpoint, &Options::default(), true).unwrap().config;
        let place = |line: &str| asked.find(line).unwrap_or_else(|| panic!("no {line}: {asked}"));
        assert!(place("StrictHostKeyChecking") < place("Include ~/.ssh/config\n"), "{asked}");
        assert!(place("Include /etc/ssh/ssh_config\n") < place("ServerAliveInterval"), "{asked}");
        assert!(!asked.contains("BatchMode"), "{asked}");
    }

    #[test]
    fn what_would_be_an_option_or_a_command_to_ssh_is_refused() {
        let host = |host: &str| Endpoint { host: host.into(), ..Endpoint::default() };
        let jump = |jump: &str| Endpoint { proxy_jump: Some(vec![jump.into()]), ..host("n1") };
        let file = |file: &str| Endpoint { identity_files: vec![file.into()], ..host("n1") };
        for endpoint in [
            host("-oProxyCommand=x"),
            host("a b"),
            jump("-oProxyCommand=x"),
            jump("u@-x"),
            jump("$(x)@b"),
            jump("b;x"),
            jump(""),
            file("/no/such/key"),
            Endpoint { known_hosts: vec!["a\nProxyCommand x".into()], ..host("n1") },
            Endpoint { address: Some("-x".into()), ..host("n1") },
        ] {
            let refused = ordered(&endpoint);
            assert!(matches!(refused, Err(NodeError::Local(_))), "{endpoint:?}: {refused:?}");
        }
    }
}
