//! Panics that become errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, and returns the message of a panic in it as an error.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let outer = IS_CONTAINED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(outer);
    done.map_err(|panic| message(panic.as_ref()))
}

/// Tells whether a panic of this thread becomes an error, so that its report is the error's.
pub(crate) fn is_contained() -> bool {
    IS_CONTAINED.get()
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        assert_eq!(contained(|| 1), Ok(1));
        assert_eq!(contained(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(contained(|| panic!("number {}", 2)), Err::<(), _>("number 2".to_owned()));
        assert!(!is_contained());
        let nested = contained(|| (contained(is_contained), is_contained()));
        assert_eq!(nested, Ok((Ok(true), true)));
    }
}
