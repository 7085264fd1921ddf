mod answers;
mod fixture;
mod isolation;
mod limits;
mod pruning;
mod refusals;
mod static_wall;
mod wall;
