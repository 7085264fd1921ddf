mod answers;
mod fixture;
mod limits;
mod pruning;
mod refusals;
mod static_wall;
mod wall;
