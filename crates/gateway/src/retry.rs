//! How long to wait before the next try of a call (GW-3). How often is tried is the error's to tell.

use crate::RetryOptions;
use std::time::Duration;
use stripe::RetryAdvice;

/// How long to wait before try `done + 1`, after `done` tries that failed; `None` if no try can help any more.
///
/// `random` spreads the wait from a half of itself to the whole, so that callers that failed together do not come
/// back together.
pub fn wait_before_retry(advice: RetryAdvice, done: u32, options: &RetryOptions, random: u64) -> Option<Duration> {
    let retry = done.saturating_sub(1);
    let (retries, factor) = match advice {
        RetryAdvice::Never => return None,
        RetryAdvice::Exponential { retries } => (retries, 1_u32.checked_shl(retry).unwrap_or(u32::MAX)),
        RetryAdvice::Linear { retries } => (retries, done),
    };
    if retry >= retries {
        return None;
    }
    let whole = options.first.saturating_mul(factor).min(options.most);
    Some(whole.mul_f64(0.5 + (random % 1_000) as f64 / 2_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_the_advice() {
        let options = RetryOptions::default();
        let check = |advice, done, random, expected: Option<u64>| {
            let wait = wait_before_retry(advice, done, &options, random);
            assert_eq!(wait, expected.map(Duration::from_millis), "{advice:?} {done} {random}");
        };
        let (five, three) = (RetryAdvice::Exponential { retries: 5 }, RetryAdvice::Linear { retries: 3 });
        check(RetryAdvice::Never, 1, 0, None);
        check(five, 1, 0, Some(250));
        check(five, 1, 500, Some(375));
        check(five, 2, 0, Some(500));
        check(five, 3, 0, Some(1_000));
        check(five, 4, 0, Some(2_000));
        check(five, 5, 0, Some(4_000));
        check(five, 6, 0, None);
        check(three, 1, 0, Some(250));
        check(three, 2, 0, Some(500));
        check(three, 3, 0, Some(750));
        check(three, 4, 0, None);
    }
}
