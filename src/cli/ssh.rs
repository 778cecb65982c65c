//! How nodes are reached, on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{duration, in_flight};

/// How nodes are reached.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "SSH (over the inventory, which is over ~/.ssh/config)")]
pub struct Ssh {
    /// Login name
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Port of sshd
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Private key to offer; repeatable
    #[arg(short = 'I', long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// known_hosts file in place of the usual ones; repeatable
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Vec<PathBuf>,
    /// Jump hosts, the first hop first.
    #[arg(
        short = 'J',
        long,
        value_name = "HOST",
        help = "Jump host, [USER@]HOST[:PORT]; repeatable, the first hop first; none for none"
    )]
    pub jump: Vec<String>,
    /// How many nodes behind one jump host at once
    #[arg(long, value_name = "N", value_parser = in_flight)]
    #[serde(default)]
    pub per_jump: Option<usize>,
    /// ssh_config in place of ~/.ssh/config and /etc/ssh/ssh_config; `none` for none
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Take in the keys of hosts that are not known yet; changed keys are refused all the same
    #[arg(long)]
    pub accept_new_host_keys: bool,
    /// Run the commands of `Match exec` in ssh_config, on this machine
    #[arg(long)]
    #[serde(default)]
    pub allow_match_exec: bool,
    /// How long to wait for a connection [default: ConnectTimeout of ssh_config, or 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub connect_timeout: Option<Duration>,
    /// Who speaks SSH: ringhaul itself, or the ssh program of this machine
    #[arg(long, value_enum, value_name = "WHO")]
    #[serde(default)]
    pub transport: Option<Transport>,
    /// Descriptors to read secrets from. A run that goes on later is given its own.
    #[command(flatten)]
    #[serde(skip)]
    pub secrets: Secrets,
}

/// `--transport`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// ringhaul itself
    Builtin,
    /// The ssh program, for GSSAPI, PKCS#11, security keys that ask, odd ProxyCommands
    Openssh,
}

/// Where secrets come from when there is no terminal. The first line of each is taken.
#[derive(Debug, Clone, Default, Args)]
pub struct Secrets {
    /// Read the password for logins from file descriptor N: `--password-fd 3 3<file`
    #[arg(long, value_name = "N")]
    pub password_fd: Option<i32>,
    /// Read the passphrase of key files from file descriptor N
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<i32>,
    /// Read the password for sudo on the nodes from file descriptor N
    #[arg(long, value_name = "N")]
    pub become_password_fd: Option<i32>,
}
