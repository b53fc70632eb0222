//! One write at a time to one object: Stripe answers the second with `lock_timeout` (FACTS section 7).

use crate::account::AccountKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use stripe::Request;
use tokio::sync::OwnedMutexGuard;

/// Locks that nobody holds are swept out when this many are kept.
const SWEEP_AT: usize = 1_024;

/// Locks by name; each lives as long as somebody holds it or waits for it.
#[derive(Default)]
pub(crate) struct ObjectLocks {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl ObjectLocks {
    /// Waits for whoever holds `name`, first come first served.
    pub(crate) async fn hold(&self, name: String) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() >= SWEEP_AT {
                locks.retain(|_, lock| lock.strong_count() > 0);
            }
            let lock = locks.get(&name).and_then(Weak::upgrade).unwrap_or_default();
            locks.insert(name, Arc::downgrade(&lock));
            lock
        };
        lock.lock_owned().await
    }
}

/// The object that a write changes, as its path names it; none for reads and for what is made anew.
pub(crate) fn object_of(account: &AccountKey, request: &Request) -> Option<String> {
    if request.is_read() {
        return None;
    }
    let pattern = request.endpoint_pattern();
    let (_, pattern) = pattern.split_once(' ')?;
    let position = pattern.split('/').position(|part| part == "{id}")?;
    let object: Vec<&str> = request.path.split('/').take(position + 1).collect();
    Some(format!("{}/{}{}", account.account_id, account.environment, object.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Environment;
    use stripe::request::Params;

    #[test]
    fn writes_are_told_apart_by_the_object_they_change() {
        let account = AccountKey { account_id: "acct_1".to_owned(), environment: Environment::Test };
        let check = |request: Request, expected: Option<&str>| {
            assert_eq!(object_of(&account, &request).as_deref(), expected, "{}", request.path);
        };
        let post = |path: &str| Request::post(path, Params::none());
        check(post("/v1/charges"), None);
        check(Request::get("/v1/charges/ch_1", Params::none()), None);
        check(post("/v1/subscriptions/sub_1"), Some("acct_1/test/v1/subscriptions/sub_1"));
        check(post("/v1/subscriptions/sub_1/resume"), Some("acct_1/test/v1/subscriptions/sub_1"));
        check(Request::delete("/v1/subscriptions/sub_1"), Some("acct_1/test/v1/subscriptions/sub_1"));
        check(post("/v1/billing/meters/m_1/deactivate"), Some("acct_1/test/v1/billing/meters/m_1"));
    }

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let locks = Arc::new(ObjectLocks::default());
        let first = locks.hold("a".to_owned()).await;
        let _other = locks.hold("b".to_owned()).await;
        let waiting = Arc::clone(&locks);
        let second = tokio::spawn(async move { waiting.hold("a".to_owned()).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
    }
}
