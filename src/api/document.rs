//! What the OpenAPI document says of every operation: the encoding of errors.

use utoipa::openapi::path::PathItem;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const PROTOBUF: &str = "application/x-protobuf";

/// Routes of OpenTelemetry, whose exporters read answers in their own protocol.
const OTLP: &str = "/v1/";

/// Gives each error of `document` its encoding, and each answer to OpenTelemetry
/// both of its encodings.
pub(super) fn describe_errors(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (status, response) in responses(item) {
            if path.starts_with(OTLP) {
                be_otlp(response);
            } else if status.starts_with(['4', '5']) {
                be_problem(response);
            }
        }
    }
}

fn responses(item: &mut PathItem) -> impl Iterator<Item = (&String, &mut Response)> {
    let PathItem { get, post, put, delete, .. } = item;
    let operations = [get, post, put, delete].into_iter().flatten();
    let all = operations.flat_map(|operation| &mut operation.responses.responses);
    all.filter_map(|(status, response)| match response {
        RefOr::T(response) => Some((status, response)),
        RefOr::Ref(_) => None,
    })
}

/// A body that is a problem, in the media type of problems.
fn be_problem(response: &mut Response) {
    let problem = RefOr::Ref(Ref::from_schema_name("Problem"));
    let is_problem = match response.content.get(JSON) {
        Some(RefOr::T(content)) => content.schema.as_ref() == Some(&problem),
        _ => false,
    };
    if is_problem && let Some(content) = response.content.shift_remove(JSON) {
        response.content.insert(PROBLEM.to_owned(), content);
    }
}

/// A message of the protocol, in the encoding of the request.
fn be_otlp(response: &mut Response) {
    let object = ObjectBuilder::new().schema_type(Type::Object).build();
    let binary = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .build();
    for (media_type, schema) in [(JSON, object), (PROTOBUF, binary)] {
        let content = Content::new(Some(schema));
        response.content.insert(media_type.to_owned(), RefOr::T(content));
    }
}
