//! Uploads of earlier runs, restored at a start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::blobs::ContentStore;
use crate::meta::{Command, Meta, UploadRow};
use crate::registry::open_error::OpenError;
use crate::registry::protection::leases::Leases;
use crate::registry::uploads::session::UploadSession;
use crate::registry::uploads::sessions::UploadSessions;

/// Makes a session of each resumable upload of earlier runs, and removes the files of all others.
pub(in crate::registry) fn restore_sessions(
    meta: &Meta,
    blobs: &dyn ContentStore,
    idle_max: Duration,
    leases: &Arc<Leases>,
) -> Result<UploadSessions, OpenError> {
    let now = meta.clock().plausible_wall_ms();
    // Without the idle time before the start, uploads would never time out where pulk starts every day.
    let idle = |row: &UploadRow| {
        let idle = now.zip(row.at).map(|(now, at)| now.saturating_sub(at));
        Duration::from_millis(idle.unwrap_or(0))
    };
    let mut files: BTreeSet<String> = blobs.uploads()?.into_iter().map(|upload| upload.name).collect();
    let sessions = UploadSessions::default();
    let (mut lost, mut saved) = (Vec::new(), Vec::new());
    meta.read_patiently(|view| {
        saved.clear();
        view.uploads(|id, row| saved.push((id, row)))
    })?;
    for (id, row) in saved {
        let name = id.to_string();
        if files.remove(&name) || row.offset == 0 {
            let idle = idle(&row);
            sessions.restore(UploadSession::saved(id, row, (idle, idle_max), leases));
        } else {
            lost.push(id);
        }
    }
    for name in &files {
        log::info!("removing the file of upload {name}: it has no session");
        blobs.remove_upload(name);
    }
    for id in lost {
        log::warn!("abandoning upload {id}: its file is missing");
        meta.submit(Command::EndUpload { id }, Box::new(drop));
    }
    Ok(sessions)
}
