mod answers;
mod fixture;
mod kinds;
mod limits;
mod parameters;
mod pruning;
mod refusals;
mod running;
