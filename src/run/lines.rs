//! One line to each node, made when it is first wanted and shared by all who want it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::node::{Connect, Endpoint, NodeError};

/// A line, or why there is none, once it was tried.
type Cell<N> = OnceCell<Result<Arc<N>, NodeError>>;

/// The lines of one run.
pub struct Lines<C: Connect> {
    connector: Arc<C>,
    cells: HashMap<Endpoint, Cell<C::Node>>,
}

impl<C: Connect> Lines<C> {
    /// Returns lines, none of them made yet, to these endpoints.
    pub fn new(connector: Arc<C>, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let cells = endpoints.into_iter().map(|endpoint| (endpoint, OnceCell::new())).collect();
        Self { connector, cells }
    }

    /// Returns the line to `endpoint`, which is tried once a run.
    ///
    /// # Errors
    /// Why there is none, the same to everyone who asks.
    pub async fn to(&self, endpoint: &Endpoint) -> Result<Arc<C::Node>, NodeError> {
        match self.cells.get(endpoint) {
            Some(cell) => {
                let made =
                    cell.get_or_init(async || self.connector.connect(endpoint).await.map(Arc::new));
                made.await.clone()
            }
            None => self.connector.connect(endpoint).await.map(Arc::new),
        }
    }
}
