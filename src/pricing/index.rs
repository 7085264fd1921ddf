//! Finds the rows that speak of a call, the most specific first.

use std::collections::HashMap;
use std::ops::Range;

use super::row::{ANY, PriceRow, Scope};

/// Rows by scope, provider and model. Nested maps, so that a lookup by `&str`
/// allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Index {
    global: ScopeRows,
    organizations: HashMap<String, OrganizationRows>,
}

#[derive(Debug, Default)]
struct OrganizationRows {
    own: ScopeRows,
    api_keys: HashMap<String, ScopeRows>,
}

/// The rows of one scope.
#[derive(Debug, Default)]
struct ScopeRows {
    providers: HashMap<String, ProviderRows>,
    /// The rows of every provider.
    any: Range<usize>,
}

#[derive(Debug, Default)]
struct ProviderRows {
    models: HashMap<String, Range<usize>>,
    /// The rows of every model.
    any: Range<usize>,
}

impl Index {
    /// An index of `rows`, in which rows of one key stand together.
    pub(super) fn of(rows: &[PriceRow]) -> Self {
        let mut index = Self::default();
        for (at, row) in rows.iter().enumerate() {
            let range = index.scope_mut(&row.scope).range_mut(&row.provider, &row.model);
            if range.start == range.end {
                range.start = at;
            }
            range.end = at + 1;
        }
        index
    }

    fn scope_mut(&mut self, scope: &Scope) -> &mut ScopeRows {
        match scope {
            Scope::Global => &mut self.global,
            Scope::Organization(id) => &mut self.organizations.entry(id.clone()).or_default().own,
            Scope::ApiKey { organization_id, api_key_id } => {
                let organization = self.organizations.entry(organization_id.clone()).or_default();
                organization.api_keys.entry(api_key_id.clone()).or_default()
            }
        }
    }

    /// The places of the rows that name this call, most specific first: API
    /// key, organization, everybody; within each the model, any model of the
    /// provider, any provider.
    pub(super) fn places<'a>(
        &'a self,
        organization_id: &str,
        api_key_id: Option<&str>,
        provider: &'a str,
        model: &'a str,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let organization = self.organizations.get(organization_id);
        let api_key = organization.and_then(|organization| organization.api_keys.get(api_key_id?));
        let own = organization.map(|organization| &organization.own);
        let scopes = [api_key, own, Some(&self.global)];
        scopes.into_iter().flatten().flat_map(move |scope| scope.places(provider, model))
    }

    /// The places of everybody's rows of exactly this model.
    pub(super) fn exact(&self, provider: &str, model: &str) -> Range<usize> {
        let provider = self.global.providers.get(provider);
        provider.and_then(|rows| rows.models.get(model)).cloned().unwrap_or_default()
    }
}

impl ScopeRows {
    fn range_mut(&mut self, provider: &str, model: &str) -> &mut Range<usize> {
        if provider == ANY {
            return &mut self.any;
        }
        let rows = self.providers.entry(provider.to_owned()).or_default();
        if model == ANY {
            return &mut rows.any;
        }
        rows.models.entry(model.to_owned()).or_default()
    }

    fn places(&self, provider: &str, model: &str) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.providers.get(provider);
        let exact = rows.and_then(|rows| rows.models.get(model)).cloned();
        let any_model = rows.map(|rows| rows.any.clone());
        let places = [exact, any_model, Some(self.any.clone())];
        places.into_iter().flatten().filter(|range| range.start < range.end)
    }
}
