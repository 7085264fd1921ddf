//! The integration tests: one binary, since each one links the query engine.

mod support;

mod bad_input;
mod corrections;
mod crash;
mod faults;
mod litellm;
mod model;
mod old_copies;
mod open_at_rest;
mod repository;
mod routes;
mod serving;
mod sources;
