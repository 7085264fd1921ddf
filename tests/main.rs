//! The integration tests: one binary, since each one links the query engine.

mod support;

mod access;
mod bad_input;
mod closing;
mod corrections;
mod crash;
mod crash_corrections;
mod directory;
mod fairness;
mod faults;
mod flight;
mod forget;
mod gate;
mod history;
mod limits;
mod litellm;
mod model;
mod old_copies;
mod open_at_rest;
mod otlp;
mod prices;
mod reconciliation;
mod repository;
mod routes;
mod serving;
mod sightings;
mod sources;
mod sql;
