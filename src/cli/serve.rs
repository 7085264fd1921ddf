//! `spendlake serve`.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::{Outcome, Session};
use crate::app::App;
use crate::error::{Context, Error, ErrorKind, Result};

/// Take events and answer questions over HTTP
///
/// Listens, replays the log of the data folder while /readyz says so, and then
/// answers. A first Ctrl-C or
/// SIGTERM finishes what is under way, moves everything into the lake and
/// stops; a second one stops at once, and loses nothing acknowledged either.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake serve
  spendlake serve --data-dir /var/lib/spendlake --listen 127.0.0.1:9000
  spendlake serve --listen 0.0.0.0:8787 --tls-certificate server.pem --tls-key server.key
  curl -H \"Authorization: Bearer $(cat spendlake-data/operator-token)\" http://127.0.0.1:8787/api/audit-log")]
pub(super) struct ServeArgs {}

impl ServeArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let app = App::start(&session.config, Arc::clone(&session.clock))?;
        let listener = listen(session.config.listen).await?;
        let address = listener.local_addr().internal("reading the address")?;
        let config = &session.config;
        let scheme = if config.tls_certificate.is_empty() { "http" } else { "https" };
        eprintln!("spendlake listens on {scheme}://{address}");
        eprintln!("data: {}", config.data_dir.display());
        warn_of_anonymous(config.insecure_anonymous);
        app.serve(listener, stop_signal()).await?;
        Ok(Outcome::Done)
    }
}

/// Says aloud that nobody is asked who they are.
pub(super) fn warn_of_anonymous(insecure_anonymous: bool) {
    if insecure_anonymous {
        eprintln!(
            "WARNING: insecure_anonymous is set. Everybody on this machine can read and change \
             everything."
        );
    }
}

/// Binds `address`. Whether the server may be reached there is checked before
/// it answers anything.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!(
            "cannot listen on {address}; another program may hold it: pass --listen 127.0.0.1:0 \
             for a free port"
        );
        Error::new(ErrorKind::Unavailable, message).caused_by(error)
    })
}

/// Resolves at the first Ctrl-C or SIGTERM; the second ends the process.
pub(super) async fn stop_signal() {
    next_signal().await;
    eprintln!("stopping: finishing what is under way; once more stops at once");
    tokio::spawn(async {
        next_signal().await;
        // Everything acknowledged is in the log on disk.
        std::process::exit(1);
    });
}

async fn next_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals the process can only be killed, which is safe too.
    if interrupt.await.is_err() {
        std::future::pending::<()>().await;
    }
}
