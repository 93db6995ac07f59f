//! Why a request failed.

use serde::{Deserialize, Serialize};

use crate::meta::IndexError;
use crate::registry::{OpenError, RegistryError};

/// The kind of an error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AdminErrorKind {
    /// Something that the request names does not exist.
    NotFound,
    /// The request is not allowed.
    Refused,
    /// The same work is already in progress.
    Busy,
    /// The work failed.
    Failed,
    /// The client has left.
    Gone,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub(crate) struct AdminError {
    /// Its kind.
    pub(crate) kind: AdminErrorKind,
    /// What happened, for people.
    pub(crate) message: String,
}

impl AdminError {
    /// Makes an error of a kind.
    pub(crate) fn new(kind: AdminErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Makes the error of work that failed.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::new(AdminErrorKind::Failed, error.to_string())
    }

    /// Makes the error that ends work for a client that has left.
    pub(crate) fn gone() -> Self {
        Self::new(AdminErrorKind::Gone, "the client has left")
    }
}

impl From<RegistryError> for AdminError {
    fn from(error: RegistryError) -> Self {
        let kind = match error.answer().status {
            404 => AdminErrorKind::NotFound,
            403 => AdminErrorKind::Refused,
            _ => AdminErrorKind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<IndexError> for AdminError {
    fn from(error: IndexError) -> Self {
        RegistryError::from(error).into()
    }
}

impl From<OpenError> for AdminError {
    fn from(error: OpenError) -> Self {
        Self::failed(error)
    }
}
