//! The identity provider of the settings: the login of people, and the check
//! of machines' tokens, over one memory of what it publishes.

use std::sync::Arc;

use super::code_flow::{BegunLogin, CodeFlow, FailedLogin, LoggedIn, LoginAnswer};
use super::credential::JwtVerifier;
use super::jwks::KeyCache;
use super::machines::Machines;
use super::oidc_settings::OidcSettings;
use super::provider::Provider;
use super::randomness::Randomness;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Result};

/// One OpenID Connect provider.
#[derive(Debug)]
pub struct Oidc {
    keys: Arc<KeyCache>,
    people: Option<CodeFlow>,
    machines: Option<Arc<Machines>>,
}

impl Oidc {
    /// None where the settings name no provider. `Invalid` where they do not
    /// fit together. The provider itself is asked when it is needed: it may be
    /// down while this server starts.
    pub fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
        randomness: &Arc<dyn Randomness>,
    ) -> Result<Option<Self>> {
        let Some(settings) = OidcSettings::read(config)? else { return Ok(None) };
        let OidcSettings { issuer, people, audience, rules } = settings;
        let provider = Provider::new(&issuer)?;
        let keys = Arc::new(KeyCache::new(provider, Arc::clone(clock)));
        let machines = audience.map(|audience| {
            let (issuer, rules) = (issuer.clone(), rules.clone());
            let machines =
                Machines::new(Arc::clone(&keys), Arc::clone(clock), issuer, audience, rules);
            Arc::new(machines)
        });
        let people = people.map(|client| {
            let (keys, clock) = (Arc::clone(&keys), Arc::clone(clock));
            CodeFlow::new(keys, clock, Arc::clone(randomness), issuer, client, rules)
        });
        Ok(Some(Self { keys, people, machines }))
    }

    /// Asks the provider ahead of the first request, so that the log says
    /// early what is wrong with the settings or with it.
    pub async fn warm(&self) {
        let _ = self.keys.published().await;
    }

    /// Checks machines' tokens; none where no audience is set.
    pub fn jwt_verifier(&self) -> Option<Arc<dyn JwtVerifier>> {
        self.machines.clone().map(|machines| machines as Arc<dyn JwtVerifier>)
    }

    /// Whether people can log in by it.
    pub fn takes_people(&self) -> bool {
        self.people.is_some()
    }

    /// Begins a login that ends at `return_to`, a path of this server.
    pub async fn begin_login(&self, return_to: Option<&str>) -> Result<BegunLogin> {
        self.people()?.begin(return_to).await
    }

    /// Ends a login: `answer` is what the browser brought from the provider,
    /// `browser_secret` what its cookie holds. Each login ends once, however
    /// it ends.
    pub async fn finish_login(
        &self,
        answer: &LoginAnswer,
        browser_secret: Option<&str>,
    ) -> Result<LoggedIn, FailedLogin> {
        self.people()?.finish(answer, browser_secret).await
    }

    fn people(&self) -> Result<&CodeFlow> {
        self.people.as_ref().ok_or_else(|| {
            Error::not_found(
                "people do not log in by OpenID Connect here; an administrator can set \
                 oidc_client_id",
            )
        })
    }
}
