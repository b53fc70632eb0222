//! Grouping: many small writes share one durable commit.
//!
//! While one commit is under way, what arrives is collected; it goes with the next. So a caller waits for at most two
//! commits, and the disk is asked once for hundreds of callers. Each caller gets its own answer, after its write is
//! durable.

use crate::{ErrorKind, Result, StoreError};
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

/// A kind of small write that can be done for many callers at once.
#[async_trait]
pub trait GroupedWrite: Send + Sync + 'static {
    /// What one caller brings.
    type Item: Clone + Send + Sync + 'static;
    /// What one caller gets.
    type Answer: Send + 'static;

    /// Writes all items, or none; they are durable when this returns. Answers in the same order.
    async fn write(&self, items: &[Self::Item]) -> Result<Vec<Self::Answer>>;
}

/// The callers' side of a grouped write. Cheap to clone; the writer ends when the last one is dropped.
pub struct Grouped<W: GroupedWrite> {
    sender: mpsc::Sender<Waiting<W>>,
}

impl<W: GroupedWrite> Clone for Grouped<W> {
    fn clone(&self) -> Self {
        Grouped { sender: self.sender.clone() }
    }
}

struct Waiting<W: GroupedWrite> {
    item: W::Item,
    answer: oneshot::Sender<Result<W::Answer>>,
}

impl<W: GroupedWrite> Grouped<W> {
    /// Starts the writer. At most `max_group` items share a commit; at most `max_waiting` callers wait, others are
    /// refused with `database_busy`.
    pub fn start(write: W, max_group: usize, max_waiting: usize) -> Grouped<W> {
        let (sender, mut receiver) = mpsc::channel::<Waiting<W>>(max_waiting);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(max_group);
            while receiver.recv_many(&mut group, max_group).await > 0 {
                write_group(&write, std::mem::take(&mut group)).await;
            }
        });
        Grouped { sender }
    }

    /// Writes one item; resolves once it is durable, or was refused.
    pub async fn submit(&self, item: W::Item) -> Result<W::Answer> {
        let (answer, answered) = oneshot::channel();
        self.sender
            .try_send(Waiting { item, answer })
            .map_err(|_| StoreError::new(ErrorKind::Busy, "too many writes are waiting"))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::new(ErrorKind::Unavailable, "the writer has ended")))
    }
}

async fn write_group<W: GroupedWrite>(write: &W, group: Vec<Waiting<W>>) {
    let (items, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|it| (it.item, it.answer)).unzip();
    let written = commit_group(write, &items).await;
    match written {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                // A caller that went away does not undo what is durable.
                let _ = answer.send(Ok(result));
            }
        }
        // One bad item must not refuse its neighbours: each is tried alone.
        Err(error) if !error.can_retry() && items.len() > 1 => {
            for (item, answer) in items.into_iter().zip(answers) {
                let alone = commit_group(write, std::slice::from_ref(&item)).await;
                let _ = answer.send(alone.and_then(|mut results| {
                    results.pop().ok_or_else(|| StoreError::new(ErrorKind::Internal, "a grouped write gave no answer"))
                }));
            }
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

async fn commit_group<W: GroupedWrite>(write: &W, items: &[W::Item]) -> Result<Vec<W::Answer>> {
    let results = write.write(items).await?;
    if results.len() != items.len() {
        return Err(StoreError::new(ErrorKind::Internal, "a grouped write gave another number of answers than items"));
    }
    Ok(results)
}
