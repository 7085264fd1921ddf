//! Who gets in, and how far.

mod attempts;
mod audit;
mod doors;
mod ingest;
mod listening;
mod roles;
mod table;
mod walk;
