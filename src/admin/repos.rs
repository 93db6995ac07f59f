//! Listing repositories.

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::du::{RepositoryUsage, StoreUsage, survey};
use crate::admin::error::AdminError;
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;

/// Asks for the repositories in the order of their names, and for the sum of what they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReposRequest {}

impl Ask for ReposRequest {
    type Item = RepositoryUsage;
    type Report = StoreUsage;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<StoreUsage, AdminError> {
        let found = survey(&store.registry, sink)?;
        for repository in found.repositories {
            send_item(sink, &RepositoryUsage { unique_bytes: None, ..repository })?;
        }
        Ok(found.totals)
    }
}
