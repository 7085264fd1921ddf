//! Who makes a call: found out before the service sees it, for every call.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::Logins;
use super::listener::Arrival;
use super::status::status_of;
use crate::access::{Credential, Permission, Principal};
use crate::api::{ClientAddress, FailedAttempts};
use crate::error::{Error, ErrorKind, Result};

/// What the audit log calls this door.
const SUBJECT: &str = "flight";

/// The principal of a call, in its extensions.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Arc<Principal>);

/// Lets a call through to the service if whoever makes it may run SQL. The
/// credential is looked up anew with each call, so that revoking it ends its
/// use at once.
pub(super) async fn authenticate(
    State(visitors): State<Visitors>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = request.extensions().get::<Arrival>().cloned();
    match visitors.caller(request.headers(), arrival.as_ref()).await {
        Ok(principal) => {
            if let Some(Err(error)) = arrival.map(|arrival| arrival.prove(&principal)) {
                return status_of(&error).into_http();
            }
            request.extensions_mut().insert(Caller(principal));
            next.run(request).await
        }
        Err(error) => status_of(&error).into_http(),
    }
}

/// Finds out who makes calls.
#[derive(Debug, Clone)]
pub(super) struct Visitors {
    /// Knows credentials.
    pub(super) logins: Arc<dyn Logins>,
    /// Whoever shows no credential, where nobody is asked for one.
    pub(super) anyone: Option<Arc<Principal>>,
    /// Writes down refused credentials.
    pub(super) failures: Arc<FailedAttempts>,
    /// Whether calls come through a proxy, which says who made them.
    pub(super) behind_proxy: bool,
}

impl Visitors {
    async fn caller(
        &self,
        headers: &HeaderMap,
        arrival: Option<&Arrival>,
    ) -> Result<Arc<Principal>> {
        let shown = headers.get(header::AUTHORIZATION);
        if let (None, Some(anyone)) = (shown, &self.anyone) {
            return Ok(Arc::clone(anyone));
        }
        let peer = arrival.map(|arrival| arrival.peer);
        let address = ClientAddress::of(peer, headers, self.behind_proxy);
        let note = |action| self.failures.note(address, action, SUBJECT);
        let secret = secret(shown).inspect_err(|_| {
            if shown.is_some() {
                note("credential.malformed");
            }
        })?;
        let credential = Credential::bearer(secret);
        let principal = self.logins.authenticate(&credential).await.inspect_err(|error| {
            if error.kind() == ErrorKind::Unauthenticated {
                let is_jwt = matches!(credential, Credential::Jwt(_));
                note(if is_jwt { "jwt.refused" } else { "token.refused" });
            }
        })?;
        if principal.may(Permission::RunSql) {
            return Ok(principal);
        }
        let (name, scope) = (principal.name(), Permission::RunSql.scope());
        Err(Error::new(
            ErrorKind::Forbidden,
            format!("{name} may not run SQL: it needs a role that may, and a token with {scope}"),
        ))
    }
}

/// The principal that [`authenticate`] found.
pub(super) fn caller_of(extensions: &tonic::Extensions) -> Result<Arc<Principal>, Status> {
    let caller = extensions.get::<Caller>().map(|caller| Arc::clone(&caller.0));
    // Reached only where the layer is missing.
    caller.ok_or_else(|| Status::unauthenticated("this call shows no credential"))
}

/// What later calls show as `authorization`, after a handshake with these
/// headers: the same credential, so that it is revoked and expires with it.
pub(super) fn bearer(headers: &MetadataMap) -> Result<tonic::metadata::AsciiMetadataValue> {
    let headers = headers.clone().into_headers();
    let secret = secret(headers.get(header::AUTHORIZATION))?;
    format!("Bearer {secret}").parse().map_err(|_| malformed())
}

/// The token of an `authorization` header: a Bearer one, or the password of a
/// Basic one, whose user is for the client to choose.
fn secret(value: Option<&HeaderValue>) -> Result<String> {
    let Some(value) = value else {
        return Err(unauthenticated(
            "this call shows no credential; send an access token, as `authorization: Bearer …` or \
             as the password",
        ));
    };
    let (scheme, rest) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(rest.trim()).map_err(|_| malformed())?;
        let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
        let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
        // As over HTTP: a client that has no place for a password sends it there.
        if password.is_empty() { user } else { password }.to_owned()
    } else {
        return Err(malformed());
    };
    if secret.is_empty() { Err(malformed()) } else { Ok(secret) }
}

fn malformed() -> Error {
    unauthenticated(
        "the authorization header is not understood; it is `Bearer TOKEN`, or `Basic` with the \
         token as the password",
    )
}

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String> {
        secret(Some(&HeaderValue::from_str(text).expect("a header")))
    }

    #[test]
    fn a_token_is_a_bearer_or_the_password_of_anybody() {
        assert_eq!(read("Bearer slk_1").expect("a token"), "slk_1");
        assert_eq!(read("bearer slk_1").expect("a token"), "slk_1");
        let basic = |pair: &str| read(&format!("Basic {}", STANDARD.encode(pair)));
        assert_eq!(basic("ada:slk_1").expect("a token"), "slk_1");
        assert_eq!(basic(":slk_1").expect("a token"), "slk_1");
        assert_eq!(basic("ada:a:b").expect("a token"), "a:b");
    }

    #[test]
    fn what_is_no_credential_is_unauthenticated_and_not_repeated() {
        let colonless = format!("Basic {}", STANDARD.encode("secret"));
        for text in
            ["secret", "Digest secret", "Basic secret!", "Bearer ", "Basic Og==", &colonless]
        {
            let error = read(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert_eq!(secret(None).expect_err("none").kind(), ErrorKind::Unauthenticated);
    }
}
