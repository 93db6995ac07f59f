//! Health checks: `/livez` and `/readyz`, and the names that other registries use for them.

use tide::http::{Response, StatusCode};

use crate::http::api::render;
use crate::registry::{Health, Registry};

/// Answers `/livez`: a server that answers is alive.
pub(in crate::http) fn live() -> Response {
    render::content(StatusCode::Ok, render::TEXT, "ok\n")
}

/// Returns the health of a registry. Damaged images are reported with 200: all others are there.
pub(in crate::http) fn of(registry: &Registry) -> Health {
    let mut health = registry.health();
    if let Some(state) = registry.damage().filter(|state| !state.is_sound()) {
        let images =
            if state.images == 1 { "1 image is".to_owned() } else { format!("{} images are", state.images) };
        health.reasons.push(format!("{images} damaged: `pulk status` names what to push again"));
    }
    health
}

/// Answers `/readyz`: 200, or 503, with one line for each thing that does not work.
///
/// A full disk is reported with 200: a balancer that takes the registry out would also end its pulls and
/// deletes, which still work.
pub(in crate::http) fn ready(health: &Health) -> Response {
    if health.reasons.is_empty() {
        return render::content(StatusCode::Ok, render::TEXT, "ok\n");
    }
    let status = if health.ready { StatusCode::Ok } else { StatusCode::ServiceUnavailable };
    let mut lines = String::new();
    for reason in &health.reasons {
        lines.push_str(reason);
        lines.push('\n');
    }
    render::content(status, render::TEXT, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(health: &Health) -> (u16, String) {
        let mut response = ready(health);
        (response.status() as u16, smol::block_on(response.body_string()).unwrap())
    }

    #[test]
    fn a_ready_registry_says_ok() {
        assert_eq!(answer(&Health { ready: true, reasons: Vec::new() }), (200, "ok\n".to_owned()));
    }

    #[test]
    fn a_registry_that_still_serves_pulls_is_ready_and_says_what_fails() {
        let health = Health { ready: true, reasons: vec!["the disk is full".to_owned()] };
        assert_eq!(answer(&health), (200, "the disk is full\n".to_owned()));
    }

    #[test]
    fn a_registry_that_takes_no_writes_says_why() {
        let reasons = vec!["the journal could not be synced".to_owned(), "no space left".to_owned()];
        let (status, text) = answer(&Health { ready: false, reasons });
        assert_eq!(status, 503);
        assert_eq!(text, "the journal could not be synced\nno space left\n");
    }
}
