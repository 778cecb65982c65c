//! A way to a port of this machine that is slow, forgetful or cut.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Bytes of one packet.
const PACKET: usize = 1400;

/// Packets under way in one direction.
const UNDER_WAY: usize = 64;

/// How bad the way is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    /// One way.
    pub(crate) delay: Duration,
    /// Bytes a second, each way.
    pub(crate) rate: u64,
    /// After so much silence a connection is forgotten: what comes later is dropped, and nobody
    /// is told.
    pub(crate) forgets_after: Duration,
}

impl Quality {
    pub(crate) const GOOD: Self =
        Self { delay: Duration::ZERO, rate: u64::MAX, forgets_after: Duration::MAX };
}

/// The way, for as long as the runtime lives that it was made in.
pub(crate) struct Link {
    pub(crate) port: u16,
    cut: Arc<AtomicBool>,
}

impl Link {
    pub(crate) async fn to(port: u16, quality: Quality) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicBool::new(false));
        let link = Self { port: own, cut: Arc::clone(&cut) };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let to = SocketAddr::from(([127, 0, 0, 1], port));
                let far = TcpStream::connect(to).await.unwrap();
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                let heard = Arc::new(Mutex::new(Some(Instant::now())));
                for (from, to) in [(near_in, far_out), (far_in, near_out)] {
                    let way = Way { quality, cut: Arc::clone(&cut), heard: Arc::clone(&heard) };
                    let (sender, receiver) = mpsc::channel(UNDER_WAY);
                    tokio::spawn(way.take(from, sender));
                    tokio::spawn(deliver(receiver, to));
                }
            }
        });
        link
    }

    /// From now on nothing arrives, and nobody is told.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

/// One direction of one connection.
struct Way {
    quality: Quality,
    cut: Arc<AtomicBool>,
    /// When something last went through, either way; none once it is forgotten.
    heard: Arc<Mutex<Option<Instant>>>,
}

impl Way {
    async fn take(self, mut from: OwnedReadHalf, under_way: mpsc::Sender<(Instant, Vec<u8>)>) {
        let mut sent = Instant::now();
        let mut buffer = [0; PACKET];
        while let Ok(size) = from.read(&mut buffer).await {
            if size == 0 && !self.cut.load(Ordering::SeqCst) {
                return;
            }
            if size == 0 || !self.goes_through() {
                // Who is cut off does not hear of an end, either.
                if size == 0 {
                    return std::future::pending().await;
                }
                continue;
            }
            let takes = Duration::from_secs_f64(size as f64 / self.quality.rate as f64);
            sent = sent.max(Instant::now()) + takes;
            let packet = buffer[..size].to_vec();
            if under_way.send((sent + self.quality.delay, packet)).await.is_err() {
                return;
            }
        }
    }

    fn goes_through(&self) -> bool {
        let mut heard = self.heard.lock().unwrap();
        let is_known = heard.is_some_and(|at| at.elapsed() <= self.quality.forgets_after);
        *heard = is_known.then(Instant::now);
        is_known && !self.cut.load(Ordering::SeqCst)
    }
}

async fn deliver(mut under_way: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) {
    while let Some((due, packet)) = under_way.recv().await {
        sleep_until(due).await;
        if to.write_all(&packet).await.is_err() {
            return;
        }
    }
}
