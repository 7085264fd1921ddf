//! The door over a test's app, its principals, and clients of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arrow_flight::FlightInfo;
use arrow_flight::sql::client::FlightSqlServiceClient;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use futures::TryStreamExt;
use rustls::ServerConfig;
use spendlake::access::{
    Credential, Domain, Grant, Origin, Permission, Permissions, Principal, Role,
};
use spendlake::error::{Error, ErrorKind};
use spendlake::flight::Logins;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::support::app::TestApp;

pub(crate) type Client = FlightSqlServiceClient<Channel>;

/// A door on a free port of this machine.
pub(crate) struct Door {
    pub(crate) app: TestApp,
    pub(crate) address: SocketAddr,
    pub(crate) people: People,
    stop: CancellationToken,
    serving: JoinHandle<spendlake::error::Result<()>>,
}

/// Who holds a credential now.
#[derive(Debug, Clone, Default)]
pub(crate) struct People(Arc<Mutex<BTreeMap<String, Arc<Principal>>>>);

#[async_trait]
impl Logins for People {
    async fn authenticate(
        &self,
        credential: &Credential,
    ) -> spendlake::error::Result<Arc<Principal>> {
        let (Credential::Jwt(text) | Credential::Token(text) | Credential::Session(text)) =
            credential;
        let known = self.0.lock().expect("not poisoned").get(text).cloned();
        known.ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "this credential holds no more"))
    }
}

impl People {
    /// Gives `name` a credential for SQL over `domain`.
    pub(crate) fn analyst(&self, name: &str, domain: Domain) -> String {
        self.holder(name, Role::Analyst, domain, Permissions::ALL)
    }

    /// Gives `name` a credential of this role and these scopes.
    pub(crate) fn holder(
        &self,
        name: &str,
        role: Role,
        domain: Domain,
        scopes: Permissions,
    ) -> String {
        let grants = vec![Grant::new(role, domain).expect("a grant")];
        let principal = Principal::new(name, name, Origin::Jwt, grants, scopes);
        let credential = format!("{name}.signed.token");
        self.0.lock().expect("not poisoned").insert(credential.clone(), Arc::new(principal));
        credential
    }

    /// Takes a credential away.
    pub(crate) fn revoke(&self, credential: &str) {
        self.0.lock().expect("not poisoned").remove(credential).expect("a credential");
    }
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::over(TestApp::new().await, None).await
    }

    pub(crate) async fn over(app: TestApp, tls: Option<Arc<ServerConfig>>) -> Self {
        let people = People::default();
        let logins = Arc::new(people.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let (served, stopped) = (Arc::clone(&app.app), stop.clone().cancelled_owned());
        let serving =
            tokio::spawn(async move { served.serve_flight(listener, logins, tls, stopped).await });
        Self { app, address, people, stop, serving }
    }

    /// A client that shows `credential`.
    pub(crate) fn client(&self, credential: &str) -> Client {
        let mut client = self.stranger();
        client.set_token(credential.to_owned());
        client
    }

    /// A client that shows nothing.
    pub(crate) fn stranger(&self) -> Client {
        client_of(self.address)
    }

    /// An analyst of everything.
    pub(crate) fn analyst(&self) -> Client {
        self.client(&self.people.analyst("ada", Domain::Platform))
    }

    /// Stops as the program does.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.serving.await.expect("no panic").expect("a clean stop");
    }
}

/// A client that connects with its first call.
pub(crate) fn client_of(address: SocketAddr) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    Client::new(endpoint.connect_lazy())
}

/// Every row of what `info` promises.
pub(crate) async fn rows(
    client: &mut Client,
    info: FlightInfo,
) -> Result<RecordBatch, arrow_flight::error::FlightError> {
    let promised = info.clone().try_decode_schema().ok();
    let [endpoint] = info.endpoint.as_slice() else { panic!("one endpoint: {info:?}") };
    let ticket = endpoint.ticket.clone().expect("a ticket");
    let mut stream = client.do_get(ticket).await?;
    let batches: Vec<RecordBatch> = (&mut stream).try_collect().await?;
    let schema = stream.schema().cloned().expect("a schema comes even without rows");
    if let Some(promised) = promised {
        assert_eq!(schema.as_ref(), &promised, "the rows have the promised columns");
    }
    Ok(concat_batches(&schema, &batches)?)
}

/// Every row of a statement.
pub(crate) async fn sql(client: &mut Client, text: &str) -> RecordBatch {
    let info = client.execute(text.to_owned(), None).await.expect(text);
    rows(client, info).await.expect(text)
}

/// The status in a client's error.
pub(crate) fn status(error: &arrow_flight::error::FlightError) -> tonic::Status {
    match error {
        arrow_flight::error::FlightError::Tonic(status) => status.as_ref().clone(),
        other => panic!("no status in {other:?}"),
    }
}

/// Scopes without SQL.
pub(crate) fn without_sql() -> Permissions {
    Permissions::of(&[Permission::ReadUsage, Permission::WriteEvents])
}

/// Forwards plain connections to a door that shows `certificate` as localhost,
/// through TLS for HTTP/2; answers where to connect to.
pub(crate) async fn tls_tunnel(
    door: SocketAddr,
    certificate: rustls::pki_types::CertificateDer<'static>,
) -> SocketAddr {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut plain, _) = listener.accept().await.expect("a connection");
        let stream = TcpStream::connect(door).await.expect("a connection");
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let mut stream = connector.connect(name, stream).await.expect("a TLS handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let _ = tokio::io::copy_bidirectional(&mut plain, &mut stream).await;
    });
    address
}
