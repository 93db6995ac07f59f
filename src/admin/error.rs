//! Why a request was not carried out.

use serde::{Deserialize, Serialize};

use crate::meta::IndexError;
use crate::registry::{OpenError, RegistryError};

/// What kind of failure it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AdminErrorKind {
    /// What was asked for is not there.
    NotFound,
    /// The request is not one that is carried out as it is.
    Refused,
    /// The same thing is being done already.
    Busy,
    /// It could not be done.
    Failed,
    /// Nobody waits for it any more.
    Gone,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub(crate) struct AdminError {
    /// What kind of failure it is.
    pub(crate) kind: AdminErrorKind,
    /// What happened, in plain words.
    pub(crate) message: String,
}

impl AdminError {
    /// Makes a failure of a kind.
    pub(crate) fn new(kind: AdminErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Makes the failure of something that could not be done.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::new(AdminErrorKind::Failed, error.to_string())
    }

    /// Makes the failure that ends work for a client that is gone.
    pub(crate) fn gone() -> Self {
        Self::new(AdminErrorKind::Gone, "nobody waits for it any more")
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
