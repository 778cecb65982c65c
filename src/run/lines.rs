//! One line to each node, made when it is first wanted, shared by all who want it, and let go
//! when its node is done: a thousand open lines are a thousand open files here and a thousand
//! sessions there.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::node::{Connect, Endpoint, NodeError};

/// A line, or why there is none, once it was tried.
type Cell<N> = Mutex<Option<Result<Arc<N>, NodeError>>>;

/// The lines of one run.
pub struct Lines<C: Connect> {
    connector: Arc<C>,
    cells: HashMap<Endpoint, Cell<C::Node>>,
}

impl<C: Connect> Lines<C> {
    /// Returns lines, none of them made yet, to these endpoints.
    pub fn new(connector: Arc<C>, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let cells = endpoints.into_iter().map(|endpoint| (endpoint, Cell::default())).collect();
        Self { connector, cells }
    }

    /// Returns the line to `endpoint`; one that could not be made is not tried again.
    ///
    /// # Errors
    /// Why there is none, the same to everyone who asks.
    pub async fn to(&self, endpoint: &Endpoint) -> Result<Arc<C::Node>, NodeError> {
        let Some(cell) = self.cells.get(endpoint) else {
            return self.connector.connect(endpoint).await.map(Arc::new);
        };
        let mut made = cell.lock().await;
        if let Some(made) = &*made {
            return made.clone();
        }
        let line = self.connector.connect(endpoint).await.map(Arc::new);
        *made = Some(line.clone());
        line
    }

    /// Lets a line go that is not wanted any more; whoever still holds it keeps it.
    pub async fn let_go(&self, endpoint: &Endpoint) {
        if let Some(cell) = self.cells.get(endpoint) {
            let mut made = cell.lock().await;
            if matches!(&*made, Some(Ok(_))) {
                *made = None;
            }
        }
    }
}
