//! Pushing blobs: uploads in one or many requests (the specification's "Pushing Blobs").

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use smol::future::{or, zip};
use smol::io::AsyncBufRead;

use crate::base::ClientAddress;
use crate::blobs::{BlobError, BlobSource, ContentUpload};
use crate::meta::{Command, Optional, UploadRow};
use crate::registry::error::RegistryError;
use crate::registry::types::{Chunk, UploadId};
use crate::registry::uploads::body::{BodyPiece, BodyPieces};
use crate::registry::uploads::session::{SessionClaim, UploadSession};
use crate::registry::{Inner, Registry};
use crate::spec::{Algorithm, ContentDigest, Digest, DigestError, RepoName};

/// A piece of a chunk that is not written yet.
struct ReceivedPiece {
    piece: BodyPiece,
    /// How many bytes are still to come, with this piece and after it.
    coming: u64,
    /// The digest that the upload should have, where it is known already.
    content: Option<ContentDigest>,
}

impl Registry {
    /// Begins an upload session, hashed with `algorithm` as it streams; SHA-256 by default.
    pub async fn begin_upload(
        &self,
        repo: &RepoName,
        algorithm: Option<Algorithm>,
    ) -> Result<UploadId, RegistryError> {
        self.begin_upload_for(repo, algorithm, None).await
    }

    /// Does the same for the client at `client`. When there are too many sessions, an idle one of the address
    /// that has most gives way.
    pub async fn begin_upload_for(
        &self,
        repo: &RepoName,
        algorithm: Option<Algorithm>,
        client: Option<IpAddr>,
    ) -> Result<UploadId, RegistryError> {
        self.check_writable(0, 0).await?;
        let id = UploadId::random();
        let algorithm = algorithm.unwrap_or(Algorithm::Sha256);
        let row = UploadRow {
            repo: repo.clone(),
            algorithm,
            offset: 0,
            state: None,
            at: None,
            optional: Optional::default(),
        };
        let holder = (client.map(ClientAddress::of), &self.inner.leases);
        let session = UploadSession::begun(self.inner.blobs.as_ref(), id, &row, holder);
        if let Some(other) = self.inner.sessions.add(session, self.inner.options.upload_sessions_max)? {
            log::info!(
                "abandoning idle upload {} for a new one: the limit of unfinished uploads is reached",
                other.id()
            );
            let inner = Arc::clone(&self.inner);
            self.inner.permits.write(move || inner.discard(&other)).await;
        }
        let begun = self.command(Command::BeginUpload { id, row }).await;
        if begun.is_err() {
            self.inner.sessions.remove(id);
        }
        begun.map(|()| id)
    }

    /// Returns how many bytes of an upload have come.
    pub async fn upload_offset(&self, repo: &RepoName, id: UploadId) -> Result<u64, RegistryError> {
        let session = self.inner.sessions.find(repo, id)?;
        session.touch();
        self.inner.lease_to(&session);
        Ok(session.kept_offset())
    }

    /// Appends a chunk to an upload, and returns how many bytes have come by then.
    ///
    /// Bytes that came before an error are kept; [`Self::upload_offset`] returns how many. A stop of the
    /// server ends this at once, since the client can resume.
    pub async fn append<B: AsyncBufRead + Unpin + Send>(
        &self,
        repo: &RepoName,
        id: UploadId,
        chunk: Chunk<B>,
    ) -> Result<u64, RegistryError> {
        let session = self.inner.sessions.find(repo, id)?;
        let claim = session.claim().await.for_append();
        let last = self.receive(&claim, chunk, None).await?;
        let Some(last) = last else { return Ok(session.offset()) };
        let inner = Arc::clone(&self.inner);
        let work = move || {
            inner.write_last(claim.session(), &last)?;
            // As long as the claim is held, no other request appends.
            Ok(claim.session().offset())
        };
        self.inner.permits.write(work).await
    }

    /// Finishes an upload with a last chunk, which may be empty, and makes its content a durable blob of the
    /// repository.
    ///
    /// If the chunk states no range and this fails or is cut off, the bytes of the chunk are dropped, also by
    /// a stop or a power cut: a retry sends all of them again. If the content has another digest than
    /// `digest`, or cannot be made durable, the upload ends and nothing of it is kept.
    pub async fn finish_upload<B: AsyncBufRead + Unpin + Send>(
        &self,
        repo: &RepoName,
        id: UploadId,
        digest: &Digest,
        chunk: Chunk<B>,
    ) -> Result<ContentDigest, RegistryError> {
        let content = supported(digest)?;
        let session = self.inner.sessions.find(repo, id)?;
        let claim = session.claim().await;
        let claim = if chunk.range.is_none() { claim.for_finish() } else { claim };
        let last = self.receive(&claim, chunk, Some(content)).await?;

        let (inner, repo) = (Arc::clone(&self.inner), repo.clone());
        // Write and commit in one job: most blobs are small, and each hop to another thread costs.
        let stored = self
            .store_then_command(content, move || {
                if let Some(last) = last {
                    inner.write_last(claim.session(), &last)?;
                }
                let committed = inner.commit(claim.session(), content);
                if committed.is_err() && claim.session().is_live() {
                    inner.give_back(claim.session());
                }
                let blob = committed?;
                Ok(Command::Link { repo, blob, upload: id })
            })
            .await;
        if stored.is_err() && !self.inner.sessions.has(&id.to_string()) {
            // Its bytes are gone or were refused: it cannot be resumed.
            drop(self.command(Command::EndUpload { id }).await);
        }
        stored.map(|()| content)
    }

    /// Cancels an upload.
    pub async fn cancel_upload(&self, repo: &RepoName, id: UploadId) -> Result<(), RegistryError> {
        let session = self.inner.sessions.find(repo, id)?;
        let _turn = session.claim().await;
        session.end();
        self.inner.sessions.remove(id);
        let (store, name) = (Arc::clone(&self.inner.blobs), session.name());
        self.inner.permits.write(move || store.remove_upload(&name)).await;
        match self.command(Command::EndUpload { id }).await {
            // Its row was not durable when the store was reopened.
            Err(RegistryError::UploadUnknown) => Ok(()),
            done => done,
        }
    }

    /// Receives a chunk, and returns its last piece unwritten where it is known to be the last. On an error,
    /// releases the space reserved for bytes that did not come.
    async fn receive<B: AsyncBufRead + Unpin + Send>(
        &self,
        claim: &SessionClaim,
        chunk: Chunk<B>,
        content: Option<ContentDigest>,
    ) -> Result<Option<ReceivedPiece>, RegistryError> {
        let received = self.take_in(claim, chunk, content).await;
        if received.is_err() && claim.session().is_live() {
            let (inner, claim) = (Arc::clone(&self.inner), claim.clone());
            self.inner.permits.write(move || inner.give_back(claim.session())).await;
        }
        received
    }

    async fn take_in<B: AsyncBufRead + Unpin + Send>(
        &self,
        claim: &SessionClaim,
        chunk: Chunk<B>,
        content: Option<ContentDigest>,
    ) -> Result<Option<ReceivedPiece>, RegistryError> {
        let session = claim.session();
        let begins = session.offset();
        let said = expected_length(&chunk, begins)?;
        // Refuse a chunk that will not fit before reading it.
        self.check_writable(begins, said.unwrap_or(0)).await?;
        self.inner.check_quota(session.repo(), begins.saturating_add(said.unwrap_or(0)), content.as_ref())?;
        let mut source = BodyPieces::new(chunk.body, said.unwrap_or(u64::MAX));
        let mut next = unless_preempted(claim, source.next(&self.inner.pool)).await?;
        while let Some(piece) = next {
            let coming = said.map_or(0, |said| begins.saturating_add(said).saturating_sub(session.offset()));
            // Only if the body has ended already: no caller may hold a buffer while it waits for a client.
            if piece.bytes().len() as u64 == coming && source.has_ended_now().await {
                return Ok(Some(ReceivedPiece { piece, coming, content }));
            }
            let following = unless_preempted(claim, source.next(&self.inner.pool));
            let (written, following) =
                zip(self.write(claim, ReceivedPiece { piece, coming, content }), following).await;
            written?;
            next = following?;
        }
        let got = session.offset() - begins;
        let more = said.is_some() && unless_preempted(claim, source.has_more()).await?;
        match said {
            Some(said) if got != said => Err(RegistryError::SizeInvalid { said, got }),
            Some(said) if more => Err(RegistryError::SizeInvalid { said, got: said.saturating_add(1) }),
            _ => Ok(None),
        }
    }

    async fn write(&self, claim: &SessionClaim, received: ReceivedPiece) -> Result<(), RegistryError> {
        let (inner, claim) = (Arc::clone(&self.inner), claim.clone());
        self.inner.permits.write(move || inner.write(claim.session(), &received)).await
    }
}

impl Inner {
    fn write(&self, session: &UploadSession, received: &ReceivedPiece) -> Result<(), RegistryError> {
        self.close_idle_files(session);
        let (bytes, coming) = (received.piece.bytes(), received.coming);
        self.check_unpoisoned()?;
        let written = session.with_upload(self.blobs.as_ref(), |upload| {
            // Held until the bytes are written.
            let length = upload.offset().saturating_add(bytes.len() as u64);
            self.check_quota(session.repo(), length, received.content.as_ref())?;
            let claim = self.space.claim(upload.space_for(bytes.len() as u64, coming));
            let coming_min = coming.max(bytes.len() as u64);
            let _claim = claim.ok_or_else(|| self.no_room_for(upload.offset(), coming_min))?;
            upload.append(bytes, coming)?;
            self.make_durable(session, upload, self.options.upload_durable_step_bytes)
        });
        if session.has_ended() {
            self.discard(session);
        }
        self.lease_to(session);
        written
    }

    /// Makes an upload durable if it received at least `step` bytes since the last time, and notes how far it
    /// is.
    fn make_durable(
        &self,
        session: &UploadSession,
        upload: &mut dyn ContentUpload,
        step: u64,
    ) -> Result<(), RegistryError> {
        if upload.make_durable(step)? {
            let (id, row) = (session.id(), session.row(upload));
            // The answer is not needed: the bytes that the row records are durable already.
            self.meta.submit(Command::AdvanceUpload { id, row }, Box::new(drop));
        }
        Ok(())
    }

    /// Closes the files of the longest idle uploads, durably, until few enough are open for `session` to open
    /// its own.
    fn close_idle_files(&self, session: &UploadSession) {
        if session.is_open() {
            return;
        }
        while let Some(idle) = self.sessions.file_to_close(self.options.upload_files_idle_max) {
            // A request may have claimed it meanwhile.
            let Some(claim) = idle.claim_idle() else { continue };
            let closed =
                idle.with_idle_upload(self.blobs.as_ref(), |upload| self.make_durable(&idle, upload, 1));
            if let Err(error) = closed {
                log::warn!("upload {} is given up: {error}", idle.id());
                self.discard(&idle);
            }
            // It pauses the upload.
            drop(claim);
        }
    }

    /// Leases everything of the repository for a slow push.
    fn lease_to(&self, session: &UploadSession) {
        if session.is_slow() {
            self.leases.take_all(session.repo());
        }
    }

    fn write_last(&self, session: &UploadSession, last: &ReceivedPiece) -> Result<(), RegistryError> {
        let written = self.write(session, last);
        if written.is_err() && session.is_live() {
            self.give_back(session);
        }
        written
    }

    /// Converts the error of a failed store, and has the store reopened if a folder could not be synced.
    ///
    /// The system shows the names in that folder to every reader, and would report its next sync as a
    /// success, whichever names the medium holds. A failed sync of a file affects only that file: it is given
    /// up with its bytes, and the sync of every other file reports its own failures.
    pub(in crate::registry) fn not_stored(&self, error: BlobError) -> RegistryError {
        // A name that may be lost is no new failure: the one before it has stopped the writes.
        if let BlobError::Folder(error) = &error {
            self.meta.poison(format!("a folder of content could not be synced: {error}"));
        }
        error.into()
    }

    /// Drops what an upload does not keep, and releases its space.
    fn give_back(&self, session: &UploadSession) {
        let given_back = session.with_upload(self.blobs.as_ref(), |upload| {
            upload.rewind();
            Ok(upload.release_reserved()?)
        });
        if let Err(error) = given_back {
            log::warn!("upload {} keeps more space than it needs: {error}", session.id());
        }
    }

    /// Publishes the upload's content and ends the session, unless the failure leaves the upload as it was.
    fn commit(&self, session: &UploadSession, digest: ContentDigest) -> Result<BlobSource, RegistryError> {
        self.lease_to(session);
        self.close_idle_files(session);
        let stored = session.with_upload(self.blobs.as_ref(), |upload| Ok(self.publish(upload, digest)));
        let stored = stored.and_then(|stored| stored.map_err(|error| self.not_stored(error)));
        match &stored {
            Ok(_) => {
                session.end();
                self.sessions.remove(session.id());
            }
            Err(RegistryError::DigestMismatch { .. }) => self.discard(session),
            Err(_) if session.has_ended() => self.discard(session),
            Err(_) => {}
        }
        stored
    }
}

/// Reads from a body until another request takes the session over, or a stop ends the claim.
async fn unless_preempted<T>(
    claim: &SessionClaim,
    read: impl Future<Output = io::Result<T>>,
) -> Result<T, RegistryError> {
    // A body that comes without a pause would never let the wait below have its turn.
    if claim.is_stopped() {
        return Err(RegistryError::upload_stopped());
    }
    let read = async { read.await.map_err(body_broken) };
    or(read, async { Err(claim.lost().await) }).await
}

/// Returns how long a chunk must be, if a header says so.
fn expected_length<B>(chunk: &Chunk<B>, offset: u64) -> Result<Option<u64>, RegistryError> {
    let Some(range) = &chunk.range else { return Ok(chunk.length) };
    if range.first != offset {
        return Err(RegistryError::OutOfOrder { begins: range.first, offset });
    }
    match chunk.length {
        Some(got) if got != range.length() => Err(RegistryError::SizeInvalid { said: range.length(), got }),
        _ => Ok(Some(range.length())),
    }
}

/// Returns the digest as one whose algorithm can be computed.
pub(in crate::registry) fn supported(digest: &Digest) -> Result<ContentDigest, RegistryError> {
    let unsupported = || DigestError::UnsupportedAlgorithm(digest.algorithm_name().to_owned());
    Ok(digest.content().ok_or_else(unsupported)?)
}

pub(in crate::registry) fn body_broken(error: io::Error) -> RegistryError {
    RegistryError::BodyBroken(Arc::new(error))
}
