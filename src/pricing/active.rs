//! The list that events are priced by now.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::PriceBook;

/// Holds the active list; clones share it, so that another list can take its
/// place while events come in.
#[derive(Debug, Clone)]
pub struct ActivePrices(Arc<ArcSwap<PriceBook>>);

impl ActivePrices {
    /// The list that holds now. Take it once a request.
    pub fn book(&self) -> Arc<PriceBook> {
        self.0.load_full()
    }

    /// Makes `book` the list of all later requests.
    pub fn activate(&self, book: Arc<PriceBook>) {
        self.0.store(book);
    }
}

impl From<Arc<PriceBook>> for ActivePrices {
    fn from(book: Arc<PriceBook>) -> Self {
        Self(Arc::new(ArcSwap::new(book)))
    }
}
