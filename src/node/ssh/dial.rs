//! The way to a server's first word: a TCP connection of our own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::settings::{Family, Settings};
use crate::node::{NodeError, Stage};
use crate::text::one_line;

/// Characters of the system's words in an error.
const WORDS_SHOWN: usize = 300;

/// The pause between the attempts of `ConnectionAttempts`, as OpenSSH makes it.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the connection, with as many attempts as the settings want.
pub(super) async fn dial(settings: &Settings) -> Result<TcpStream, NodeError> {
    let mut left = settings.attempts.max(1);
    loop {
        left -= 1;
        match attempt(settings).await {
            Err(_) if left > 0 => sleep(PAUSE).await,
            result => return result,
        }
    }
}

/// Tries all addresses of the name in turn, each for its share of the time that is left.
async fn attempt(settings: &Settings) -> Result<TcpStream, NodeError> {
    let limit = settings.connect_timeout;
    let deadline = Instant::now() + limit;
    let found = addresses(settings, limit).await?;
    let (mut refused, mut silent, mut other) = (false, false, None);
    for (index, peer) in found.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(found.len() - index).unwrap_or(u32::MAX);
        match timeout(share, connect(*peer, settings)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                refused = true;
            }
            Ok(Err(error)) => other = Some(error),
            Err(_) => silent = true,
        }
    }
    // What says most about the host comes first.
    Err(match other {
        _ if refused => NodeError::Refused { address: settings.address() },
        _ if silent => NodeError::TimedOut { stage: Stage::Connect, after: limit },
        Some(error) => unreachable(settings, &error.to_string()),
        None => unreachable(settings, "its name has no address"),
    })
}

/// Returns the addresses of the host's name, of the family that is wanted.
async fn addresses(settings: &Settings, limit: Duration) -> Result<Vec<SocketAddr>, NodeError> {
    let lookup = tokio::net::lookup_host((settings.host.as_str(), settings.port));
    let mut found: Vec<SocketAddr> = match timeout(limit, lookup).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(unreachable(settings, &error.to_string())),
        Err(_) => {
            let cause = format!("its name was not resolved within {limit:?}");
            return Err(unreachable(settings, &cause));
        }
    };
    let (family, word) = match settings.family {
        Family::Any => return Ok(found),
        Family::V4 => (SocketAddr::is_ipv4 as fn(&SocketAddr) -> bool, "inet"),
        Family::V6 => (SocketAddr::is_ipv6 as fn(&SocketAddr) -> bool, "inet6"),
    };
    found.retain(family);
    if found.is_empty() {
        let cause = format!("its name has no address of AddressFamily {word}");
        return Err(unreachable(settings, &cause));
    }
    Ok(found)
}

async fn connect(peer: SocketAddr, settings: &Settings) -> std::io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ours) = &settings.bind_address {
        let found = tokio::net::lookup_host((ours.as_str(), 0)).await?;
        let fitting = found.into_iter().find(|address| address.is_ipv4() == peer.is_ipv4());
        let none = || std::io::Error::other(format!("BindAddress {ours} is of another family"));
        socket.bind(fitting.ok_or_else(none)?)?;
    }
    // Nagle's algorithm makes an exec of 2 ms one of 44 ms.
    socket.set_nodelay(true)?;
    socket.connect(peer).await
}

fn unreachable(settings: &Settings, cause: &str) -> NodeError {
    let cause = one_line(cause.as_bytes(), WORDS_SHOWN);
    NodeError::Unreachable { address: settings.address(), cause }
}
