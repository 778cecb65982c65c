//! A door whose line breaks, or whose controller dies, at one moment.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ringhaul::node::{Command, Connect, Ended, Endpoint, Node, NodeError, Sink};
use tokio::sync::{mpsc, watch};

use crate::fleet::Doors;
use crate::local::Local;

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Moment {
    Never,
    /// At this command, the first being 1; connections and locks count too.
    Command(usize, When),
    /// When the journal has so many records, before anything else is asked of a node.
    Record(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum When {
    Before,
    /// A moment after it began; it may go on without us.
    Amid,
    /// It has had its effect, and nobody hears its answer.
    After,
    /// So many bytes of a stream have come; else as `Amid`.
    Bytes(usize),
}

/// What happens then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    /// The line breaks; another one can be made.
    Breaks,
    /// The line breaks, and no other can be made for the rest of the run.
    StaysBroken,
    /// The controller is gone: nothing more is asked, nothing more is heard.
    Dies,
}

pub(crate) struct Cut {
    doors: Doors,
    moment: Moment,
    how: How,
    record: Option<(PathBuf, usize)>,
    count: AtomicUsize,
    commands: Mutex<Vec<String>>,
    happened: watch::Sender<bool>,
}

impl Cut {
    pub(crate) fn new(
        doors: Doors,
        moment: Moment,
        how: How,
        record: Option<(PathBuf, usize)>,
    ) -> Arc<Self> {
        let (happened, _) = watch::channel(false);
        let (count, commands) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { doors, moment, how, record, count, commands, happened })
    }

    pub(crate) fn door(self: &Arc<Self>) -> Arc<CutDoor> {
        Arc::new(CutDoor(Arc::clone(self)))
    }

    /// Resolves when the controller dies.
    pub(crate) async fn died(&self) {
        if self.how != How::Dies {
            std::future::pending::<()>().await;
        }
        self.happened.subscribe().wait_for(|happened| *happened).await.unwrap();
    }

    /// Resolves when the moment has come.
    pub(crate) async fn comes(&self) {
        self.happened.subscribe().wait_for(|happened| *happened).await.unwrap();
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }

    fn has_happened(&self) -> bool {
        *self.happened.borrow()
    }

    /// Counts a command; returns how it is cut, if it is.
    async fn count(&self, text: String) -> Option<When> {
        if let Some((journal, number)) = &self.record {
            let text = std::fs::read_to_string(journal).unwrap();
            if text.lines().count() >= *number {
                self.die().await;
            }
        }
        if self.has_happened() && self.how == How::Dies {
            std::future::pending::<()>().await;
        }
        self.commands.lock().unwrap().push(text);
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        match self.moment {
            Moment::Command(at, when) if at == number => Some(when),
            Moment::Command(..) | Moment::Never | Moment::Record(_) => None,
        }
    }

    async fn die(&self) {
        self.happened.send_replace(true);
        std::future::pending::<()>().await;
    }

    /// The moment has come. Returns what the one who asked is told, if there is one any more.
    async fn cut(&self) -> NodeError {
        if self.how == How::Dies {
            self.die().await;
        }
        self.happened.send_replace(true);
        lost()
    }
}

fn lost() -> NodeError {
    NodeError::Lost { cause: "the test cut it".to_owned() }
}

pub(crate) struct CutDoor(Arc<Cut>);

impl Connect for CutDoor {
    type Node = Line;

    async fn connect(&self, to: &Endpoint) -> Result<Line, NodeError> {
        let cut = &self.0;
        if cut.has_happened() && cut.how == How::StaysBroken {
            return Err(lost());
        }
        if cut.count("connect".to_owned()).await.is_some() {
            return Err(cut.cut().await);
        }
        let node = cut.doors.connect(to).await?;
        Ok(Line { node, cut: Arc::clone(cut), broken: watch::channel(false).0 })
    }
}

/// A line to a node.
pub(crate) struct Line {
    node: Local,
    cut: Arc<Cut>,
    broken: watch::Sender<bool>,
}

impl Line {
    async fn broken(&self) -> NodeError {
        self.broken.subscribe().wait_for(|broken| *broken).await.unwrap();
        lost()
    }

    async fn cut(&self) -> NodeError {
        self.broken.send_replace(true);
        self.cut.cut().await
    }
}

/// So long after it began a command is cut amid its work.
const AMID: Duration = Duration::from_millis(25);

impl Node for Line {
    async fn feed(&self, command: &Command, sink: &mut Sink<'_>) -> Result<Ended, NodeError> {
        if *self.broken.borrow() {
            return Err(lost());
        }
        match self.cut.count(command.to_string()).await {
            None => {
                tokio::select! {
                    ended = self.node.feed(command, sink) => return ended,
                    error = self.broken() => return Err(error),
                }
            }
            Some(When::Before) => {}
            Some(When::Amid | When::Bytes(_)) => {
                let mut deaf = |_: &[u8]| ControlFlow::Continue(());
                let _ = tokio::time::timeout(AMID, self.node.feed(command, &mut deaf)).await;
            }
            Some(When::After) => {
                let mut deaf = |_: &[u8]| ControlFlow::Continue(());
                self.node.feed(command, &mut deaf).await.unwrap();
            }
        }
        Err(self.cut().await)
    }

    async fn pour(&self, command: &Command, into: mpsc::Sender<Bytes>) -> Result<Ended, NodeError> {
        if *self.broken.borrow() {
            return Err(lost());
        }
        match self.cut.count(format!("pour {command}")).await {
            None => {
                tokio::select! {
                    ended = self.node.pour(command, into) => return ended,
                    error = self.broken() => return Err(error),
                }
            }
            Some(When::Before) => {}
            Some(When::Amid) => {
                let _ = tokio::time::timeout(AMID, self.node.pour(command, into)).await;
            }
            Some(When::Bytes(count)) => {
                let (through, pieces) = mpsc::channel(1);
                let _ = tokio::join!(self.node.pour(command, through), some(count, pieces, into));
            }
            // All of it came but the end.
            Some(When::After) => {
                let _ = self.node.pour(command, into).await;
            }
        }
        Err(self.cut().await)
    }

    async fn hold(
        &self,
        command: &Command,
        beat: Duration,
        enough: impl Future<Output = ()> + Send,
        sink: &mut Sink<'_>,
    ) -> Result<Ended, NodeError> {
        if *self.broken.borrow() {
            return Err(lost());
        }
        let heard = watch::channel(false).0;
        let mut deaf = |_: &[u8]| {
            heard.send_replace(true);
            ControlFlow::Continue(())
        };
        match self.cut.count(format!("hold {command}")).await {
            None => {
                tokio::select! {
                    ended = self.node.hold(command, beat, enough, sink) => return ended,
                    error = self.broken() => return Err(error),
                }
            }
            Some(When::Before) => {}
            Some(When::Amid | When::Bytes(_)) => {
                let held = self.node.hold(command, beat, enough, &mut deaf);
                let _ = tokio::time::timeout(AMID, held).await;
            }
            Some(When::After) => {
                let mut hears = heard.subscribe();
                tokio::select! {
                    _ = self.node.hold(command, beat, enough, &mut deaf) => {}
                    _ = hears.wait_for(|heard| *heard) => {}
                }
            }
        }
        Err(self.cut().await)
    }
}

/// Passes on so many bytes, and no more.
async fn some(count: usize, mut pieces: mpsc::Receiver<Bytes>, into: mpsc::Sender<Bytes>) {
    let mut left = count;
    while let Some(piece) = pieces.recv().await {
        let piece = piece.slice(..piece.len().min(left));
        left -= piece.len();
        if into.send(piece).await.is_err() || left == 0 {
            return;
        }
    }
}
