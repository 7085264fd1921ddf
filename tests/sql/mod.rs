//! SQL through its door: answers in each format, parameters, limits, and what
//! a client can tell of an answer that broke off.

mod answers;
mod broken;
mod command_line;
mod statements;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;

use crate::support::app::{Answer, TestApp};

/// Always has more rows.
const ENDLESS_ROWS: &str = "SELECT value FROM range(1, 9000000000000000)";

/// Never ends, and never has a row.
const ENDLESS: &str = "SELECT count(*) FROM range(1, 9000000000000000) a, range(1, 900000000000) b";

/// Twenty batches of rows, then a division by zero.
const BREAKS_OFF: &str = "SELECT value, 1 / (163840 - value) AS part FROM range(1, 300000)";

fn request(body: &Value, accept: Option<&str>) -> Request<Body> {
    let mut request = Request::post("/api/sql").header(header::CONTENT_TYPE, "application/json");
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    request.body(Body::from(body.to_string())).expect("a request")
}

async fn ask(app: &TestApp, body: &Value) -> Answer {
    app.request(request(body, None)).await
}
