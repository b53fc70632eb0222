//! What the stories play in: a vault with a connection, an inbox, and a sink that notes what it absorbs.

use async_trait::async_trait;
use axum::Router;
use inbox::{EventSink, Inbox, InboxOptions, SinkError, StoredEvent};
use kit::{Environment, Secret, TenantId, Time};
use platform::{Base, notice};
use std::sync::{Arc, Mutex, PoisonError};
use store::TenantTx;
use stripe::signature;
use testkit::{Answer, Call, Stage};
use vault::{Connection, Keyring, NewConnection, Vault};

pub(crate) const TEST: TenantId = TenantId(1);
pub(crate) const LIVE: TenantId = TenantId(2);
pub(crate) const SECRET: &str = "whsec_of_the_connection";
pub(crate) const GLOBAL: &str = "whsec_of_all_connections";

pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) vault: Vault,
    pub(crate) inbox: Inbox,
    pub(crate) sink: Arc<Noting>,
    pub(crate) connection: Connection,
}

/// An inbox with one connection of the test environment, whose account is `acct_1`.
pub(crate) async fn world(stage: Stage) -> World {
    world_with(stage, InboxOptions { global_secret: Some(Secret::from(GLOBAL)), ..InboxOptions::default() }).await
}

pub(crate) async fn world_with(stage: Stage, options: InboxOptions) -> World {
    let base = base(&stage);
    let keyring = Keyring::parse(&Keyring::generate_entry(stage.now(), &*stage.randomness)).unwrap();
    let vault = Vault::open(base.clone(), keyring);
    let connection = connect(&vault, &stage, TEST, Environment::Test, "acct_1", Some(SECRET)).await;
    let inbox = Inbox::new(base.clone(), vault.clone(), options);
    let sink = Noting::new(base);
    World { stage, vault, inbox, sink, connection }
}

pub(crate) fn base(stage: &Stage) -> Base {
    Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() }
}

pub(crate) async fn connect(
    vault: &Vault,
    stage: &Stage,
    tenant: TenantId,
    environment: Environment,
    account_id: &str,
    secret: Option<&str>,
) -> Connection {
    let mut tx = stage.store.begin(tenant).await.unwrap();
    let new = NewConnection {
        provider: "stripe",
        account_id,
        environment,
        display_name: account_id,
        api_key: &Secret::from("sk_test_0123456789abcdef0123"),
        key_hint: "sk_test_…0123",
        key_kind: "secret",
        lookback_days: None,
        api_base: None,
    };
    let connection = vault.insert_connection(&mut tx, new).await.unwrap();
    if let Some(secret) = secret {
        vault.add_webhook_secret(&mut tx, &connection.id, &Secret::from(secret)).await.unwrap();
    }
    tx.commit().await.unwrap();
    connection
}

impl World {
    pub(crate) fn router(&self) -> Router {
        {
            let slice = inbox::slice(&self.inbox, self.sink.clone());
            slice.routes.merge(slice.open_routes)
        }
    }

    /// Delivers to the connection's own address, signed now.
    pub(crate) async fn deliver(&self, body: &str) -> Answer {
        let path = format!("/webhooks/stripe/{}", self.connection.id);
        self.deliver_to(&path, body, &[SECRET]).await
    }

    pub(crate) async fn deliver_to(&self, path: &str, body: &str, secrets: &[&str]) -> Answer {
        signed(path, body, secrets, self.stage.now()).send(&self.router()).await
    }

    /// Processes what is due.
    pub(crate) async fn process(&self) {
        inbox::processor::drain(&self.inbox, self.sink.clone()).await.unwrap();
    }

    /// How many effects of the sink were committed for a tenant.
    pub(crate) async fn effects(&self, tenant: TenantId) -> i64 {
        let mut tx = self.stage.store.read(tenant).await.unwrap();
        let subjects = notice::subjects(&mut tx, "test.effect").await.unwrap();
        i64::try_from(subjects.len()).unwrap()
    }
}

/// A delivery signed at `at` with these secrets.
pub(crate) fn signed(path: &str, body: &str, secrets: &[&str], at: Time) -> Call {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::from(*secret)).collect();
    let header = signature::sign(body.as_bytes(), &secrets, at);
    Call::post(path).header("stripe-signature", &header).body(body.to_owned())
}

/// An event about a charge in test mode.
pub(crate) fn event(id: &str) -> String {
    event_of(id, "charge.updated", "")
}

/// An event of a type; `more` is put before its end, as in `,"account":"acct_2"`.
pub(crate) fn event_of(id: &str, event_type: &str, more: &str) -> String {
    let created = testkit::START.seconds() - 2;
    let object = event_type.split('.').next().unwrap();
    format!(
        r#"{{ "id": "{id}", "object": "event", "api_version": "2026-10-28.endive", "created": {created},
  "data": {{ "object": {{ "id": "{object}_of_{id}", "object": "{object}", "note": "Zürich \"quoted\" \\ \u20ac" }} }},
  "livemode": false, "type": "{event_type}"{more} }}"#
    )
}

/// Notes what it absorbs, leaves an effect in the transaction, and fails as it is told.
pub(crate) struct Noting {
    /// What notices are written with.
    base: Base,
    /// Each call's event ids, also of calls that failed.
    pub(crate) calls: Mutex<Vec<Vec<String>>>,
    /// The last event as it was handed over.
    pub(crate) last: Mutex<Option<StoredEvent>>,
    /// Says how to fail with an event, if it is to fail.
    pub(crate) fail: Mutex<Option<Fail>>,
}

/// Looks at an event and says how absorbing it fails.
pub(crate) type Fail = Box<dyn Fn(&StoredEvent) -> Option<SinkError> + Send>;

impl Noting {
    pub(crate) fn new(base: Base) -> Arc<Noting> {
        Arc::new(Noting { base, calls: Mutex::default(), last: Mutex::default(), fail: Mutex::default() })
    }

    pub(crate) fn fail_with(&self, fail: impl Fn(&StoredEvent) -> Option<SinkError> + Send + 'static) {
        *self.fail.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(fail));
    }

    pub(crate) fn succeed(&self) {
        *self.fail.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Event ids of all calls so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.calls.lock().unwrap().concat()
    }
}

#[async_trait]
impl EventSink for Noting {
    async fn absorb(&self, tx: &mut TenantTx, events: &[StoredEvent]) -> Result<(), SinkError> {
        self.calls.lock().unwrap().push(events.iter().map(|event| event.event_id.clone()).collect());
        for event in events {
            notice::publish(tx, &self.base, "test.effect", &event.event_id, serde_json::json!({})).await?;
            *self.last.lock().unwrap() = Some(event.clone());
            // One story's failure is a panic, which must not spoil the lock for the next event.
            let fail = self.fail.lock().unwrap_or_else(PoisonError::into_inner);
            let failure = fail.as_ref().and_then(|fail| fail(event));
            drop(fail);
            if let Some(failure) = failure {
                return Err(failure);
            }
        }
        Ok(())
    }
}

/// The world after a restart: the same database and connection, everything in memory new.
pub(crate) async fn reopened(stage: Stage, sink: Arc<Noting>) -> World {
    let base = base(&stage);
    let keyring = Keyring::parse(&Keyring::generate_entry(stage.now(), &*stage.randomness)).unwrap();
    let vault = Vault::open(base.clone(), keyring);
    let mut tx = stage.store.read(TEST).await.unwrap();
    let connection = vault.connections(&mut tx).await.unwrap().remove(0);
    drop(tx);
    let inbox = Inbox::new(base.clone(), vault.clone(), InboxOptions::default());
    World { stage, vault, inbox, sink, connection }
}
