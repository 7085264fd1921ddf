//! Organizations and what belongs to them: the database, the routes, and what
//! they do to events.

mod attribution;
mod history;
mod routes;
mod store;
