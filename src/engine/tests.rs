mod answers;
mod fixture;
mod limits;
mod pruning;
mod refusals;
