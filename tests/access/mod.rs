//! Tokens, accounts and sessions: in both databases, over HTTP, and on the
//! command line.

mod command_line;
mod routes;
mod store;
