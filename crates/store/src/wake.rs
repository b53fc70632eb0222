//! Wakes: a nudge to whoever waits for work, in this process at once and on other nodes through PostgreSQL.
//!
//! A wake carries no content and may be lost; it only makes sooner what a timer would find anyway.

use sqlx::postgres::PgListener;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// PostgreSQL's notification channel of this program.
pub(crate) const CHANNEL: &str = "bursar";

/// Everybody who waits in this process, by topic.
#[derive(Clone, Default)]
pub struct Wakes {
    topics: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
}

/// One waiter of one topic.
pub struct Wake {
    receiver: watch::Receiver<u64>,
}

impl Wakes {
    /// Wakes this process's waiters of `topic`.
    pub fn wake(&self, topic: &str) {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = topics.get(topic) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Waits for wakes of `topic` from now on.
    pub fn subscribe(&self, topic: &str) -> Wake {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = topics.entry(topic.to_owned()).or_insert_with(|| watch::Sender::new(0));
        Wake { receiver: sender.subscribe() }
    }
}

impl Wake {
    /// Resolves at the first wake since the last call, or since the subscription.
    pub async fn woken(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The hub is gone, which happens only while the process ends.
            std::future::pending::<()>().await;
        }
    }

    /// Resolves at a wake or after `timeout`, whichever is first.
    pub async fn woken_or(&mut self, timeout: Duration) {
        tokio::select! {
            () = self.woken() => {}
            () = kit::clock::pause(timeout) => {}
        }
    }
}

/// Passes wakes of other nodes on to this process, until the pool closes. Reconnects by itself.
pub(crate) async fn listen(pool: sqlx::PgPool, wakes: Wakes) {
    loop {
        let outcome: Result<(), sqlx::Error> = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                wakes.wake(listener.recv().await?.payload());
            }
        }
        .await;
        if pool.is_closed() {
            return;
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "listening for wakes of other nodes was interrupted; timers serve until it is back");
        }
        kit::clock::pause(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_between_two_waits_is_not_missed() {
        let wakes = Wakes::default();
        let mut wake = wakes.subscribe("jobs");
        wakes.wake("jobs");
        wakes.wake("other");
        wake.woken().await;
        wakes.wake("jobs");
        wake.woken_or(Duration::from_secs(3600)).await;
    }
}
