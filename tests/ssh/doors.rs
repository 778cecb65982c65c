//! Both doors, so that one test asks the same of each.

use std::time::Duration;

use ringhaul::node::door::{Door, DoorNode};
use ringhaul::node::openssh::Openssh;
use ringhaul::node::ssh::{Options, Ssh};
use ringhaul::node::{Connect, Endpoint, NodeError, Transport};

use crate::common::sshd::Home;

/// Makes two tests of each of these functions, one for each door.
macro_rules! through_both_doors {
    ($($name:ident),+ $(,)?) => {
        mod builtin {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(ringhaul::node::Transport::Builtin).await;
                }
            )+
        }
        mod openssh {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(ringhaul::node::Transport::Openssh).await;
                }
            )+
        }
    };
}
pub(super) use through_both_doors;

/// One door, with a home directory.
pub(super) struct By {
    door: Door,
    transport: Transport,
    /// What stands in for the home directory, which the ssh program takes from no option.
    defaults: Endpoint,
}

/// Returns a door that finds keys and known hosts in `home`.
pub(super) fn by(transport: Transport, home: &Home) -> By {
    with(transport, home, home.options())
}

pub(super) fn with(transport: Transport, home: &Home, options: Options) -> By {
    let mut defaults = Endpoint::default();
    // A config says itself where they are.
    if options.config_file.as_ref().is_some_and(|file| file.as_os_str() == "none") {
        let names = ["id_ed25519", "id_ecdsa", "id_rsa"];
        let keys = names.map(|name| home.path(".ssh").join(name));
        defaults.identity_files = keys.into_iter().filter(|key| key.exists()).collect();
        defaults.known_hosts = vec![home.known_hosts()];
    }
    let asked = env!("CARGO_BIN_EXE_ringhaul").into();
    let openssh = Openssh::new(options.clone(), Some(asked));
    By { door: Door::new(Ssh::new(options).unwrap(), openssh), transport, defaults }
}

impl By {
    pub(super) async fn settle(&self, limit: Duration) {
        self.door.settle(limit).await;
    }

    fn endpoint(&self, endpoint: &Endpoint) -> Endpoint {
        let mut endpoint = Endpoint { transport: Some(self.transport), ..endpoint.clone() };
        if self.transport == Transport::Openssh {
            if endpoint.identity_files.is_empty() {
                endpoint.identity_files.clone_from(&self.defaults.identity_files);
            }
            if endpoint.known_hosts.is_empty() {
                endpoint.known_hosts.clone_from(&self.defaults.known_hosts);
            }
        }
        endpoint
    }
}

impl Connect for By {
    type Node = DoorNode;

    async fn connect(&self, endpoint: &Endpoint) -> Result<DoorNode, NodeError> {
        self.door.connect(&self.endpoint(endpoint)).await
    }

    async fn connect_bulk(&self, endpoint: &Endpoint) -> Result<DoorNode, NodeError> {
        self.door.connect_bulk(&self.endpoint(endpoint)).await
    }
}
