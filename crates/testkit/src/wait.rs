//! Waiting for a state, never for a moment.

use kit::{Stopwatch, clock::pause};
use std::{panic::Location, time::Duration};

/// After this long the state is taken to never come. Much longer than anything needs, because it is only reached when
/// a test fails.
const WAIT_BOUND: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until there is something, and gives it.
///
/// # Panics
/// After half a minute, naming `what` was waited for and where.
#[track_caller]
pub fn wait_for<T, Look, Looking>(what: &str, look: Look) -> impl Future<Output = T>
where
    Look: FnMut() -> Looking,
    Looking: Future<Output = Option<T>>,
{
    wait_at_most(WAIT_BOUND, what, Location::caller(), look)
}

async fn wait_at_most<T, Look, Looking>(bound: Duration, what: &str, asked_at: &Location<'_>, mut look: Look) -> T
where
    Look: FnMut() -> Looking,
    Looking: Future<Output = Option<T>>,
{
    let waited = Stopwatch::start();
    let mut between = FIRST_PAUSE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(waited.elapsed() < bound, "waited {} s in vain for {what} (at {asked_at})", bound.as_secs());
        pause(between).await;
        between = (between * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn it_looks_until_there_is_something() {
        let looks = Cell::new(0);
        let found = wait_for("the third look", || {
            looks.set(looks.get() + 1);
            let found = (looks.get() == 3).then_some("found");
            async move { found }
        });
        assert_eq!(found.await, "found");
        assert_eq!(looks.get(), 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for godot (at ")]
    async fn what_never_comes_is_named() {
        wait_at_most(Duration::ZERO, "godot", Location::caller(), async || None::<()>).await;
    }
}
