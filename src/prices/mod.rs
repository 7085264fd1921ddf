//! The price lists of a data directory and what is done with them: import,
//! activate, compare, and reprice what is stored.

mod calls;
mod files;
mod history;
mod late;
mod reprice;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::engine::{Engine, StaticTable};
use crate::error::{Error, ErrorKind, Result};
use crate::pricing::{ActivePrices, BookDifference, ListedBook, PriceBook, model_prices};
use crate::query::Queries;
use history::{ActivatedBy, History};

pub use reprice::RepriceRequest;

/// Largest price list, bytes: a hundred times the one that is built in.
pub const BOOK_BYTES_MAX: usize = 8 << 20;
/// Most versions of one data directory; each stays in memory.
const VERSIONS_MAX: usize = 200;
/// Longest name of a version, bytes.
const VERSION_BYTES_MAX: usize = 64;

/// What the parts of the server share of the lists.
#[derive(Debug)]
pub struct PriceParts {
    /// Shows the lists as the table `model_prices`.
    pub engine: Arc<Engine>,
    /// Reads the events to reprice.
    pub queries: Arc<Queries>,
    /// Stamps activations.
    pub clock: Arc<dyn Clock>,
}

/// Every price list of a data directory, and which of them is active.
#[derive(Debug)]
pub struct Prices {
    folder: PathBuf,
    parts: PriceParts,
    active: ActivePrices,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    books: BTreeMap<String, Arc<PriceBook>>,
    history: History,
}

/// A list, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name: the `price_version` of what it priced.
    pub price_version: String,
    /// How many rows it has.
    pub rows: usize,
    /// Whether events are priced by it now.
    pub is_active: bool,
    /// Whether it is the one built into this program.
    pub is_built_in: bool,
    /// When it became active, each time; empty for a list that never was.
    pub activated_at: Vec<DateTime<Utc>>,
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The version is new and stored.
    Stored,
    /// The version was there and says the same.
    AlreadyThere,
    /// The version was there and says otherwise (old to new). Nothing changed:
    /// events name it as what they were priced by.
    Differs(BookDifference),
}

impl Prices {
    /// Reads `<data_dir>/prices`, and keeps the built-in list there with the
    /// others, since events will name it when a later program brings another.
    /// The caller holds the data directory's lock.
    ///
    /// As long as nobody activated a list, the built-in one is active.
    pub fn open(data_dir: &Path, parts: PriceParts) -> Result<Arc<Self>> {
        let folder = data_dir.join("prices");
        files::create_folder(&folder)?;
        let mut books = files::read_books(&folder)?;
        let shipped = PriceBook::shipped();
        if !books.contains_key(shipped.version()) {
            files::write_book(&folder, shipped)?;
            books.insert(shipped.version().to_owned(), Arc::clone(shipped));
        }
        let mut history = files::read_history(&folder)?;
        if history.wants_built_in(shipped.version()) {
            history.push(shipped.version(), parts.clock.now(), ActivatedBy::Start);
            files::write_history(&folder, &history)?;
        }
        let active = history.active().and_then(|version| books.get(version)).ok_or_else(|| {
            Error::unavailable(format!(
                "{} names {:?} as the active price list, but there is no such file beside it; \
                 put the file back from a backup",
                folder.join(files::HISTORY).display(),
                history.active().unwrap_or_default()
            ))
        })?;
        let active = ActivePrices::from(Arc::clone(active));
        let known = Mutex::new(Known { books, history });
        let prices = Self { folder, parts, active, known };
        prices.show(&prices.lock())?;
        Ok(Arc::new(prices))
    }

    /// The list that events are priced by; later activations show in it.
    pub fn active(&self) -> ActivePrices {
        self.active.clone()
    }

    /// Every list, by name.
    pub fn versions(&self) -> Vec<Version> {
        let known = self.lock();
        let versions = known.books.values().map(|book| Version {
            price_version: book.version().to_owned(),
            rows: book.rows(),
            is_active: known.history.active() == Some(book.version()),
            is_built_in: book.version() == PriceBook::shipped().version(),
            activated_at: known.history.times_of(book.version()),
        });
        versions.collect()
    }

    /// The list of that name; without a name, the active one.
    pub fn book(&self, version: Option<&str>) -> Result<Arc<PriceBook>> {
        let Some(version) = version else { return Ok(self.active.book()) };
        let known = self.lock();
        known.books.get(version).cloned().ok_or_else(|| unknown_version(&known, version))
    }

    /// Stores `csv_text` as a new version; durable when it returns. A version
    /// never changes.
    pub fn import(&self, version: &str, csv_text: &str) -> Result<Imported> {
        check_version(version)?;
        if csv_text.len() > BOOK_BYTES_MAX {
            let bytes = csv_text.len();
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("the price list has {bytes} bytes; at most {BOOK_BYTES_MAX} are taken"),
            ));
        }
        let book = Arc::new(PriceBook::parse(version, csv_text)?);
        let mut known = self.lock();
        if let Some(old) = known.books.get(version) {
            let difference = BookDifference::between(old, &book);
            let same = difference.is_empty();
            return Ok(if same { Imported::AlreadyThere } else { Imported::Differs(difference) });
        }
        if known.books.len() >= VERSIONS_MAX {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("there are {VERSIONS_MAX} price lists, the most that are kept"),
            ));
        }
        files::write_book(&self.folder, &book)?;
        known.books.insert(version.to_owned(), book);
        self.show(&known)?;
        Ok(Imported::Stored)
    }

    /// Prices the events of all later requests by `version`; durable when it
    /// returns. Stored events stay as they are. Answers whether it was not
    /// active before.
    pub fn activate(&self, version: &str) -> Result<bool> {
        let mut known = self.lock();
        let book = known.books.get(version).cloned();
        let book = book.ok_or_else(|| unknown_version(&known, version))?;
        let is_new = known.history.active() != Some(version);
        // Noted even when it was active: from now on the built-in list of a
        // later program does not take its place.
        let mut history = known.history.clone();
        history.push(version, self.parts.clock.now(), ActivatedBy::Operator);
        files::write_history(&self.folder, &history)?;
        known.history = history;
        self.active.activate(book);
        self.show(&known)?;
        Ok(is_new)
    }

    /// What `new` says that `old` does not, and the other way round.
    pub fn difference(&self, old: &str, new: &str) -> Result<BookDifference> {
        Ok(BookDifference::between(&*self.book(Some(old))?, &*self.book(Some(new))?))
    }

    /// Shows all lists in the SQL table `model_prices`.
    fn show(&self, known: &Known) -> Result<()> {
        let listed = known.books.values().map(|book| ListedBook {
            book,
            is_active: known.history.active() == Some(book.version()),
        });
        let batch = model_prices(&listed.collect::<Vec<_>>())?;
        self.parts.engine.set_static_table(StaticTable { name: "model_prices".to_owned(), batch })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A version is a file's name and a part of a path.
pub fn check_version(version: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = (1..=VERSION_BYTES_MAX).contains(&version.len())
        && version.bytes().all(allowed)
        && !version.starts_with('.');
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the price version is {version:?}; it has 1 to {VERSION_BYTES_MAX} letters, digits, \
         hyphens, underscores and points, and does not start with a point: such as 2026-11-23"
    )))
}

fn unknown_version(known: &Known, version: &str) -> Error {
    let versions = known.books.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Error::not_found(format!("there is no price list {version:?}; there are: {versions}"))
}
