//! A Spendlake server, over HTTP.

#[cfg(test)]
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::client;
use super::feed::Stored;
use crate::app::{
    ImportedReport, Reconciliation, ReconciliationRequest, ReportFormat, ReportOptions,
    RunningServer,
};
use crate::directory::exchange::ImportReport;
use crate::error::{Context, Error, ErrorKind, Result};

/// A healthy local server answers `/healthz` well within this.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// A client of one server.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    client: Client,
    /// Without a path.
    url: String,
}

/// The parts of an ingest answer that a person is told.
#[derive(Debug, Deserialize)]
struct IngestAnswer {
    accepted: u64,
    duplicate: u64,
    #[serde(default)]
    sighting: u64,
    conflict: u64,
    rejected: u64,
    #[serde(default)]
    results: Vec<LineAnswer>,
}

#[derive(Debug, Deserialize)]
struct LineAnswer {
    line: u64,
    status: String,
    field: Option<String>,
    value: Option<String>,
    rule: Option<String>,
}

/// RFC 9457 problem details.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: Option<String>,
    title: Option<String>,
}

impl Remote {
    /// The server at an address of this machine that asks for no token.
    #[cfg(test)]
    pub(super) fn new(address: SocketAddr) -> Result<Self> {
        Ok(Self { client: client::plain()?, url: format!("http://{address}") })
    }

    /// The server that holds `data_dir`, as its operator.
    pub(super) fn of_holder(server: &RunningServer, data_dir: &Path) -> Result<Self> {
        Ok(Self { client: client::of_holder(server, data_dir)?, url: server.url() })
    }

    /// A server elsewhere.
    pub(super) fn elsewhere(url: &Url, ca_certificate: Option<&Path>) -> Result<Self> {
        let client = client::elsewhere(url, ca_certificate)?;
        Ok(Self { client, url: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// Whether the server answers at all.
    pub(super) async fn answers(&self) -> bool {
        let asked = self.client.get(self.url("/healthz")).timeout(HEALTH_TIMEOUT).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// Stores NDJSON events.
    pub(super) async fn ingest(&self, body: Bytes, request_id: &str) -> Result<Stored> {
        let request = self
            .client
            .post(self.url("/api/events"))
            .header("content-type", "application/x-ndjson")
            .header("x-request-id", request_id)
            .body(body);
        let answer = self.send(request).await?;
        // 422 judges each line as well: none of them was stored.
        if !answer.status().is_success() && answer.status() != StatusCode::UNPROCESSABLE_ENTITY {
            return Err(refusal(answer).await);
        }
        let bytes = answer.bytes().await.context(ErrorKind::Unavailable, self.broke_off())?;
        let answer: IngestAnswer = serde_json::from_slice(&bytes)
            .internal("reading the server's answer to /api/events")?;
        Ok(answer.into())
    }

    /// Runs one statement with the texts of its parameters; the answer is an
    /// Arrow IPC stream.
    pub(super) async fn sql(&self, query: &str, parameters: &[String]) -> Result<Response> {
        let body = serde_json::json!({"query": query, "parameters": parameters, "format": "arrow"});
        let answer = self.send(self.client.post(self.url("/api/sql")).json(&body)).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }

    /// Why a statement failed, if the server still knows.
    pub(super) async fn statement_error(&self, id: &str) -> Option<String> {
        let path = format!("/api/sql/statements/{id}");
        let request = self.client.get(self.url(&path)).timeout(HEALTH_TIMEOUT);
        let known: serde_json::Value = self.send(request).await.ok()?.json().await.ok()?;
        known.get("error").and_then(|error| error.as_str()).map(str::to_owned)
    }

    /// Imports a directory file; all of it or nothing.
    pub(super) async fn import_directory(
        &self,
        file: Bytes,
        media_type: &str,
    ) -> Result<ImportReport> {
        let request = self.client.post(self.url("/api/directory/import"));
        let answer = self.send(request.header("content-type", media_type).body(file)).await?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        let bytes = answer.bytes().await.context(ErrorKind::Unavailable, self.broke_off())?;
        serde_json::from_slice(&bytes).internal("reading the server's answer to an import")
    }

    /// The whole directory as a file of this format.
    pub(super) async fn export_directory(&self, format: &str) -> Result<Vec<u8>> {
        let request = self.client.get(self.url("/api/directory/export"));
        let answer = self.send(request.query(&[("format", format)])).await?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        let bytes = answer.bytes().await.context(ErrorKind::Unavailable, self.broke_off())?;
        Ok(bytes.to_vec())
    }

    /// Asks for `path`.
    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        self.answer(self.client.get(self.url(path))).await
    }

    /// Puts a CSV text to `path`.
    pub(super) async fn put(&self, path: &str, csv_text: String) -> Result<Answer> {
        let request = self.client.put(self.url(path)).header("content-type", "text/csv");
        self.answer(request.body(csv_text)).await
    }

    /// Posts `body` as JSON to `path`.
    pub(super) async fn post(&self, path: &str, body: &impl serde::Serialize) -> Result<Answer> {
        self.answer(self.client.post(self.url(path)).json(body)).await
    }

    /// Puts `body` as JSON to `path`.
    pub(super) async fn put_json(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<Answer> {
        self.answer(self.client.put(self.url(path)).json(body)).await
    }

    /// Deletes what is at `path`.
    pub(super) async fn delete(&self, path: &str) -> Result<Answer> {
        self.answer(self.client.delete(self.url(path))).await
    }

    /// Stores a provider's report.
    pub(super) async fn import_report(
        &self,
        format: ReportFormat,
        body: Bytes,
        options: ReportOptions,
    ) -> Result<ImportedReport> {
        let path = format!("/api/integrations/provider-reports/{}", format.name());
        let ReportOptions { account, organization_id, source_file } = options;
        let named =
            [("account", account), ("organization_id", organization_id), ("file", source_file)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let url = self.url_with(&path, named.collect());
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        self.json(request).await
    }

    /// Compares a provider's charges with our costs.
    pub(super) async fn reconciliation(
        &self,
        request: &ReconciliationRequest,
    ) -> Result<Reconciliation> {
        let mut named = vec![
            ("provider", request.provider.clone()),
            ("date_from", request.date_from.to_string()),
            ("date_to", request.date_to.to_string()),
        ];
        named.extend(request.organization_id.clone().map(|id| ("organization_id", id)));
        self.json(self.client.get(self.url_with("/api/reconciliation", named))).await
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer> {
        let answer = self.send(request).await?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        Ok(Answer { response: answer, broke_off: self.broke_off() })
    }

    /// The JSON of an answer that must be a success.
    async fn json<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        self.answer(request).await?.json().await
    }

    fn url_with(&self, path: &str, named: Vec<(&str, String)>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(named);
        format!("{}?{}", self.url(path), query.finish())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What an answer that ends early is called.
    pub(super) fn broke_off(&self) -> String {
        format!("the answer of the server on {} broke off", self.url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let silent = format!("the server on {} does not answer", self.url);
        request.send().await.context(ErrorKind::Unavailable, silent)
    }
}

/// A successful answer whose body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    response: Response,
    broke_off: String,
}

impl Answer {
    pub(super) async fn text(self) -> Result<String> {
        self.response.text().await.context(ErrorKind::Unavailable, self.broke_off)
    }

    pub(super) async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        serde_json::from_str(&self.text().await?).internal("reading the server's answer")
    }
}

/// The error that an answer tells.
async fn refusal(answer: Response) -> Error {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let said = problem.and_then(|problem| problem.detail.or(problem.title));
    let mut said = said.unwrap_or_else(|| format!("the server answered {status}"));
    if status == StatusCode::UNAUTHORIZED {
        said.push_str("; this program shows the token in SPENDLAKE_TOKEN");
    }
    Error::new(error_kind(status), said)
}

/// The kind behind a status, as the server chose it.
fn error_kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthenticated,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            ErrorKind::LimitExceeded
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Busy,
        status if status.is_client_error() => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

impl From<IngestAnswer> for Stored {
    fn from(answer: IngestAnswer) -> Self {
        let refused = answer
            .results
            .into_iter()
            .filter(|line| !matches!(line.status.as_str(), "accepted" | "duplicate" | "sighting"))
            .map(|line| (line.line, line.reason()));
        Self {
            accepted: answer.accepted,
            duplicate: answer.duplicate,
            sighting: answer.sighting,
            conflict: answer.conflict,
            rejected: answer.rejected,
            refused: refused.collect(),
        }
    }
}

impl LineAnswer {
    /// `input_tokens is -4; must be 0 or more`
    fn reason(self) -> String {
        let what = match (self.field, self.value) {
            (Some(field), Some(value)) => format!("{field} is {value}"),
            (Some(field), None) => field,
            (None, _) => self.status,
        };
        self.rule.map_or(what.clone(), |rule| format!("{what}; {rule}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_lines_becomes_counts_and_reasons() {
        let answer: IngestAnswer = serde_json::from_str(
            r#"{"accepted":1,"duplicate":1,"conflict":0,"rejected":1,"rounded":0,"results":[
                {"line":1,"status":"accepted"},
                {"line":2,"status":"rejected","field":"input_tokens","value":"-4",
                 "rule":"must be 0 or more","message":"line 2: …"},
                {"line":3,"event_id":"e","status":"duplicate"}]}"#,
        )
        .expect("answer");
        let stored = Stored::from(answer);
        assert_eq!((stored.accepted, stored.duplicate, stored.rejected), (1, 1, 1));
        assert_eq!(stored.refused, [(2, "input_tokens is -4; must be 0 or more".to_owned())]);
    }
}
