//! Who may do and see what: principals, their roles, and the rows they reach.
//! Decisions only; where credentials are kept is the directory's business.

mod directory_reach;
mod grant;
mod permission;
mod principal;
mod reach;

pub use directory_reach::DirectoryReach;
pub use grant::{Domain, Grant, Role};
pub use permission::{Permission, Permissions};
pub use principal::{Origin, Principal};
pub use reach::{Reach, RowReach};
