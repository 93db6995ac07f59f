//! What two servers made of one stream, compared.

use super::listed::{LAXER, LIMITS, STRICTER};
use super::{Outcome, Seen, SeenBody};

/// A difference that is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// pulk refuses, with this reason, what hyper takes.
    Stricter(&'static str),
    /// pulk takes what hyper refuses with this reason.
    Laxer(&'static str),
}

/// Returns the listed differences; any other is an error. Nothing is compared behind the first one, since the
/// two don't stand at the same place then.
pub(super) fn compare(pulk: &Outcome, hyper: &Outcome) -> Result<Vec<Difference>, String> {
    let length = pulk.seen.len().max(hyper.seen.len());
    for number in 0..length {
        let found = match (pulk.seen.get(number), hyper.seen.get(number)) {
            (Some(ours), Some(theirs)) => {
                same_head(ours, theirs).map_err(|what| format!("request {number}: {what}"))?;
                match (&ours.body, &theirs.body) {
                    (SeenBody::Broken, SeenBody::Broken) => return Ok(Vec::new()),
                    (SeenBody::Broken, SeenBody::Whole(_)) => stricter(pulk)?,
                    // Whether the rest could be passed over shows in what comes next.
                    (SeenBody::NotRead, _) => continue,
                    (_, SeenBody::Broken) => laxer(hyper)?,
                    (ours, theirs) if ours == theirs => continue,
                    _ => return Err(format!("request {number}: the bodies differ")),
                }
            }
            (None, Some(_)) => {
                let before = number.checked_sub(1).and_then(|before| pulk.seen.get(before));
                if before.is_some_and(|before| before.body == SeenBody::NotRead) && pulk.rejection.is_none() {
                    // What was not read was broken: the connection ended there, which is no refusal.
                    return Ok(Vec::new());
                }
                stricter(pulk)?
            }
            (Some(_), None) => laxer(hyper)?,
            (None, None) => break,
        };
        return Ok(vec![found]);
    }
    Ok(Vec::new())
}

fn same_head(ours: &Seen, theirs: &Seen) -> Result<(), String> {
    if ours.method != theirs.method {
        return Err("the methods differ".to_owned());
    }
    if ours.target != theirs.target {
        return Err("the targets differ".to_owned());
    }
    if ours.headers != theirs.headers {
        return Err("the headers differ".to_owned());
    }
    Ok(())
}

fn stricter(pulk: &Outcome) -> Result<Difference, String> {
    let rejection =
        pulk.rejection.as_deref().ok_or("pulk does not take what hyper takes, and says nothing")?;
    let stricter = STRICTER.iter().map(|(listed, _, _)| *listed);
    let listed = stricter.chain(LIMITS).find(|listed| *listed == rejection);
    let listed = listed.ok_or_else(|| format!("pulk is stricter, which is not listed: {rejection}"))?;
    Ok(Difference::Stricter(listed))
}

fn laxer(hyper: &Outcome) -> Result<Difference, String> {
    let rejection = hyper.rejection.as_deref().unwrap_or("it says nothing");
    let listed = LAXER.iter().find(|(listed, _, _)| *listed == rejection);
    let (listed, _, _) = listed.ok_or_else(|| format!("pulk takes what hyper refuses: {rejection}"))?;
    Ok(Difference::Laxer(listed))
}
