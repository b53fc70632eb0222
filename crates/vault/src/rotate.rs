//! Moving every secret to the newest key while the server runs: `bursar vault rotate`. [PLT-8]
//!
//! Small steps, each its own transaction that compares before it writes: several nodes may rotate at once, and what
//! stops in the middle goes on when it is run again. Every node must have the newest key loaded before.

use crate::{Result, SecretId, Vault, seal, store};
use kit::TenantId;

/// Secrets of one step. SQLite has one writer, so a step must be over within milliseconds.
const STEP: u32 = 50;
/// Most secrets that a report names.
const MOST_NAMED: usize = 100;

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RotateProgress {
    /// Secrets that were not under the newest key at the start.
    pub total: u64,
    /// Of these, looked at so far: re-sealed by this run or another, or refused.
    pub done: u64,
}

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RotateReport {
    /// The key that everything else is under now.
    pub key_id: String,
    /// Re-sealed by this run.
    pub resealed: u64,
    /// That could not be opened and stay as they are.
    pub refused: u64,
    /// Which those are and why; at most a hundred.
    pub refusals: Vec<Refusal>,
}

/// A secret that a rotation could not open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// Which secret.
    pub secret: SecretId,
    /// Whose it is, such as a connection's id.
    pub owner: String,
    /// Why, as a stable code: `secret_key_unknown` or `secret_corrupt`.
    pub code: &'static str,
}

/// How many secrets a key seals, to tell when an old key can be taken away.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyUsage {
    /// The key's name.
    pub key_id: String,
    /// Secrets under it.
    pub secrets: u64,
    /// Whether it is loaded; its secrets do not open otherwise.
    pub loaded: bool,
}

impl Vault {
    /// Re-seals with the newest key whatever is under another. `progress` is told after every step. Keys that were
    /// added to the key file meanwhile are taken up first.
    ///
    /// A secret that does not open stays as it is and is named in the report; the others go on.
    ///
    /// # Errors
    /// `vault_key_file`, `vault_keys_bad`, and the database's.
    pub async fn rotate(&self, mut progress: impl FnMut(RotateProgress) + Send) -> Result<RotateReport> {
        self.take_up_keys()?;
        let (inner, keyring) = (&self.inner, self.keyring());
        let newest = keyring.newest().id.as_str();
        let mut report = RotateReport { key_id: newest.to_owned(), ..RotateReport::default() };
        let total = {
            let mut tx = inner.base.store.read_system().await?;
            store::count_not_under(&mut tx, newest).await?
        };
        let mut after = (TenantId(i64::MIN), String::new());
        let mut done = 0;
        loop {
            progress(RotateProgress { total, done });
            let rows = {
                let mut tx = inner.base.store.read_system().await?;
                store::not_under(&mut tx, newest, &after, STEP).await?
            };
            let Some(last) = rows.last() else { return Ok(report) };
            after = (TenantId(last.tenant_id), last.id.clone());
            done += rows.len() as u64;
            // The ciphers work outside the transaction: the writer is held for the writes alone.
            let mut resealed = Vec::with_capacity(rows.len());
            for row in &rows {
                let id = row.secret_id();
                let opened = seal::open(&keyring, row.binding(&id), &row.key_id, &row.sealed);
                match opened.and_then(|secret| seal::seal(&keyring, row.binding(&id), &secret, &*inner.base.randomness))
                {
                    Ok(sealed) => resealed.push((row, sealed)),
                    Err(error) => {
                        tracing::warn!(secret.id = %id, owner.id = row.owner_id, code = error.code(), "a secret could not be re-sealed");
                        report.refused += 1;
                        if report.refusals.len() < MOST_NAMED {
                            let refusal = Refusal { secret: id, owner: row.owner_id.clone(), code: error.code() };
                            report.refusals.push(refusal);
                        }
                    }
                }
            }
            let mut tx = inner.base.store.begin_system().await?;
            for (row, sealed) in resealed {
                report.resealed += u64::from(store::reseal(&mut tx, row, sealed).await?);
            }
            tx.commit().await?;
        }
    }

    /// How many secrets each key seals, loaded keys without any included.
    pub async fn key_usage(&self) -> Result<Vec<KeyUsage>> {
        let mut tx = self.inner.base.store.read_system().await?;
        let counted = store::key_usage(&mut tx).await?;
        let keyring = self.keyring();
        let loaded = keyring.ids().map(|id| KeyUsage {
            key_id: id.to_owned(),
            secrets: counted.iter().find(|(key_id, _)| key_id == id).map_or(0, |(_, count)| count.unsigned_abs()),
            loaded: true,
        });
        let missing = counted.iter().filter(|(id, _)| keyring.named(id).is_none()).map(|(id, count)| KeyUsage {
            key_id: id.clone(),
            secrets: count.unsigned_abs(),
            loaded: false,
        });
        Ok(loaded.chain(missing).collect())
    }
}
