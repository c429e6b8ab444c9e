//! What the server's answers say. Every shape that was not asked for is an error, never a panic.

use larder_core::{Error, ErrorKind, Result};
use redis::Value;

use crate::layout::Record;
use crate::transport::said;

/// An answer that does not fit the question.
pub(crate) fn unexpected(what: &str) -> Error {
    let detail = format!("the server answered {what} where something else was asked for");
    Error::new(ErrorKind::Store, detail)
}

/// What the server said instead of an answer.
fn refused(error: &redis::ServerError) -> Error {
    let text = said(error);
    let overflow = text.contains("overflow") || text.contains("not an integer");
    let kind = if overflow {
        ErrorKind::NotACounter
    } else {
        ErrorKind::Store
    };
    Error::new(kind, format!("the server refused: {text}"))
}

/// Nothing, or bytes.
pub(crate) fn bytes(value: Value) -> Result<Option<Vec<u8>>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::ServerError(error) => Err(refused(&error)),
        _ => Err(unexpected("no string")),
    }
}

/// An array.
pub(crate) fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        Value::ServerError(error) => Err(refused(&error)),
        _ => Err(unexpected("no array")),
    }
}

/// An array of nothing or bytes, of this length.
pub(crate) fn strings(value: Value, length: usize) -> Result<Vec<Option<Vec<u8>>>> {
    let values = array(value)?;
    if values.len() != length {
        return Err(unexpected("an array of another length"));
    }
    values.into_iter().map(bytes).collect()
}

/// A record that a script answered with.
pub(crate) fn record(value: Value) -> Result<Record> {
    bytes(value)?
        .as_deref()
        .and_then(Record::parse)
        .ok_or_else(|| unexpected("no record"))
}

/// Fails if the server refused.
pub(crate) fn accepted(value: &Value) -> Result<()> {
    match value {
        Value::ServerError(error) => Err(refused(error)),
        _ => Ok(()),
    }
}
