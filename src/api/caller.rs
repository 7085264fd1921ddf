//! Who makes a request: found out once, before any handler.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::gate;
use super::problem::Problem;
use crate::access::{Permission, Principal, Reach};

/// The principal of a request. A request without one is answered 401.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<Principal>);

impl Caller {
    /// Who it is in the audit log.
    pub(crate) fn actor(&self) -> String {
        self.0.actor()
    }

    /// Refuses whoever does not manage the whole organization.
    pub(crate) fn check_manages(&self, organization_id: &str) -> Result<(), Problem> {
        gate::manages(&self.0, organization_id)
    }

    /// Refuses whoever does not manage the platform.
    pub(crate) fn check_platform(&self) -> Result<(), Problem> {
        gate::everywhere(&self.0, Permission::ManagePlatform)
    }

    /// What it may read.
    pub(crate) fn reads(&self) -> Reach {
        self.0.reach(Permission::ReadUsage)
    }

    /// The organizations that it manages.
    pub(crate) fn managed(&self) -> Reach {
        self.0.reach(Permission::ManageOrganization)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthenticated)
    }
}
