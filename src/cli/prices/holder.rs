//! Who keeps the price lists: this process, or the server that holds the data
//! folder.

use crate::api::{ActivationAnswer, PriceVersions, PutAnswer};
use crate::cli::Session;
use crate::cli::target::{Target, write_down};
use crate::error::{Error, Result};
use crate::prices::{Imported, check_version};

/// The holder of the lists.
#[derive(Debug)]
pub(super) struct PriceHolder(Target);

impl PriceHolder {
    pub(super) async fn open(session: &Session) -> Result<Self> {
        Target::open(session).await.map(Self)
    }

    pub(super) async fn versions(&self) -> Result<PriceVersions> {
        match &self.0 {
            Target::Local(app) => Ok(PriceVersions::from(&**app.prices())),
            Target::Server(remote) => remote.get("/api/prices").await?.json().await,
        }
    }

    /// The text of a list.
    pub(super) async fn csv(&self, version: &str) -> Result<String> {
        check_version(version)?;
        match &self.0 {
            Target::Local(app) => Ok(app.prices().book(Some(version))?.csv_text().to_owned()),
            Target::Server(remote) => {
                remote.get(&format!("/api/prices/{version}")).await?.text().await
            }
        }
    }

    /// Stores a list; answers whether it is new.
    pub(super) async fn import(&self, version: &str, text: &str) -> Result<bool> {
        match &self.0 {
            Target::Local(app) => {
                let stored = match app.prices().import(version, text)? {
                    Imported::Stored => true,
                    Imported::AlreadyThere => false,
                    Imported::Differs(difference) => {
                        return Err(Error::invalid(format!(
                            "the price list {version} is there already and says otherwise; a list \
                             never changes, since events name it: take another name\n{difference}"
                        )));
                    }
                };
                write_down(app, "prices.put", &format!("prices/{version}")).await?;
                Ok(stored)
            }
            Target::Server(remote) => {
                let answer = remote.put(&format!("/api/prices/{version}"), text.to_owned()).await?;
                Ok(answer.json::<PutAnswer>().await?.stored)
            }
        }
    }

    /// Makes a list active; answers whether it was not before.
    pub(super) async fn activate(&self, version: &str) -> Result<bool> {
        match &self.0 {
            Target::Local(app) => {
                let changed = app.prices().activate(version)?;
                write_down(app, "prices.activate", &format!("prices/{version}/activate")).await?;
                Ok(changed)
            }
            Target::Server(remote) => {
                let path = format!("/api/prices/{version}/activate");
                let answer = remote.post(&path, &serde_json::Value::Null).await?;
                Ok(answer.json::<ActivationAnswer>().await?.changed)
            }
        }
    }

    pub(super) async fn close(self) -> Result<()> {
        self.0.close().await
    }
}
