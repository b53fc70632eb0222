//! What the stories play in: a simulated Stripe, a connection to it, and everything between it and the mirror.

use async_trait::async_trait;
use gateway::{Gateway, GatewayOptions, LimitOptions, RetryOptions};
use identity::{Caller, CallerKind, OrganizationId};
use inbox::{Inbox, InboxOptions};
use kit::{Environment, Secret, TenantId};
use mirror::{Change, Mirror, Projection, Scope, SyncKind, SyncStatus};
use platform::{Base, Slice};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use store::{TenantTx, q, sql};
use testkit::{SimulatedStripe, Stage, wait_for};
use vault::{Connection, Keyring, NewConnection, Vault};

pub(crate) const TENANT: TenantId = TenantId(1);

/// A projection that keeps what it was told, and fails the test if a change does not fit what it was told before.
#[derive(Default)]
pub(crate) struct Copybook {
    pub(crate) objects: Mutex<BTreeMap<(String, String), (String, bool)>>,
    pub(crate) told: Mutex<u64>,
}

#[async_trait]
impl Projection for Copybook {
    fn name(&self) -> &'static str {
        "copybook"
    }

    fn objects(&self) -> &'static [&'static str] {
        &["charge", "customer", "product", "refund", "invoice"]
    }

    async fn apply(&self, _: &mut TenantTx, scope: &Scope, changes: &[Change<'_>]) -> store::Result<()> {
        let mut objects = self.objects.lock().unwrap();
        for change in changes {
            assert_eq!(change.account_id, scope.account_id);
            assert!(self.objects().contains(&change.object_type), "{change:?}");
            let key = (change.object_type.to_owned(), change.id.to_owned());
            let known = objects.insert(key, (change.after.to_owned(), change.deleted_after));
            assert_eq!(change.before, known.as_ref().map(|it| it.0.as_str()), "{change:?}");
            assert_eq!(change.deleted_before, known.is_some_and(|it| it.1), "{change:?}");
            *self.told.lock().unwrap() += 1;
        }
        Ok(())
    }

    async fn clear(&self, _: &mut TenantTx, _: &Scope) -> store::Result<()> {
        self.objects.lock().unwrap().clear();
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) base: Base,
    pub(crate) stripe: SimulatedStripe,
    pub(crate) vault: Vault,
    pub(crate) gateway: Gateway,
    pub(crate) inbox: Inbox,
    pub(crate) mirror: Mirror,
    pub(crate) copybook: Arc<Copybook>,
    pub(crate) connection: Connection,
}

pub(crate) fn base(stage: &Stage) -> Base {
    Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() }
}

pub(crate) async fn world(stage: Stage) -> World {
    let stripe = SimulatedStripe::start(&stage).await;
    let key = stripe.secret_key();
    world_with(stage, stripe, key, None).await
}

pub(crate) async fn world_with(
    stage: Stage,
    stripe: SimulatedStripe,
    key: Secret,
    lookback_days: Option<u32>,
) -> World {
    let base = base(&stage);
    let keyring = Keyring::parse(&Keyring::generate_entry(stage.now(), &*stage.randomness)).unwrap();
    let vault = Vault::open(base.clone(), keyring);
    let options = GatewayOptions {
        limits: Some(LimitOptions { account_test: 10_000, endpoint: 10_000, ..LimitOptions::default() }),
        retries: RetryOptions { first: Duration::from_millis(2), most: Duration::from_millis(10) },
        ..GatewayOptions::at(stripe.base_url())
    };
    let gateway = Gateway::new(base.clone(), vault.clone(), options).unwrap();
    let inbox = Inbox::new(base.clone(), vault.clone(), InboxOptions::default());
    let copybook = Arc::new(Copybook::default());
    let mirror = Mirror::new(base.clone(), vault.clone(), gateway.clone(), inbox.clone(), vec![copybook.clone()]);
    gateway.observe_with(Arc::new(mirror.clone()));
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let new = NewConnection {
        provider: "stripe",
        account_id: &stripe.account.account_id,
        environment: Environment::Test,
        display_name: "Acme",
        api_key: &key,
        key_hint: "sk_test_…4242",
        key_kind: "secret",
        lookback_days,
        api_base: None,
    };
    let connection = vault.insert_connection(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    World { stage, base, stripe, vault, gateway, inbox, mirror, copybook, connection }
}

impl World {
    pub(crate) fn slice(&self) -> Slice {
        mirror::slice(&self.mirror)
    }

    pub(crate) fn router(&self) -> axum::Router {
        let organization = OrganizationId::from_text("org_1");
        let caller = Caller { organization, environment: Environment::Test, tenant: TENANT, kind: CallerKind::Token };
        self.slice().routes.layer(axum::Extension(caller))
    }

    /// Runs the mirror's jobs until the returned guard is dropped.
    pub(crate) fn working(&self) -> tokio_util::sync::DropGuard {
        let stopping = platform::CancellationToken::new();
        let slice = self.slice();
        let mut jobs = slice.jobs;
        jobs.push(platform::notice::delivery(slice.subscribers));
        tokio::spawn(platform::worker::run(self.base.clone(), jobs, stopping.clone()));
        stopping.drop_guard()
    }

    pub(crate) async fn ask(&self, kind: SyncKind) {
        let mut tx = self.stage.store.begin(TENANT).await.unwrap();
        self.mirror.request_sync(&mut tx, &self.connection.id, kind, "person").await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn status(&self) -> SyncStatus {
        self.mirror.sync_status(TENANT, &self.connection.id).await.unwrap()
    }

    /// Asks for a sync, and waits until it and everything before it has ended.
    pub(crate) async fn sync(&self, kind: SyncKind) -> mirror::SyncJob {
        self.ask(kind).await;
        self.synced().await
    }

    /// Waits until no sync runs or waits, and gives the last one.
    pub(crate) async fn synced(&self) -> mirror::SyncJob {
        wait_for("the syncs to end", async || {
            let status = self.status().await;
            if status.current.is_some() {
                return None;
            }
            let page = kit::PageRequest { limit: Some(1), cursor: None };
            let jobs = self.mirror.sync_jobs(TENANT, &self.connection.id, &page).await.unwrap();
            jobs.data.into_iter().next()
        })
        .await
    }

    /// Processes the events that were stored.
    pub(crate) async fn process(&self) {
        inbox::processor::drain(&self.inbox, Arc::new(self.mirror.clone())).await.unwrap();
    }

    /// Moves time on, for Stripe as for us.
    pub(crate) fn pass(&self, seconds: u64) {
        self.stage.clock.advance(Duration::from_secs(seconds));
    }

    /// Makes a call to Stripe as a program of the account's owner would.
    pub(crate) async fn at_stripe(&self, request: stripe::Request) -> serde_json::Value {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let client = stripe::Client::new(stripe::ClientOptions::all_at(&self.stripe.base_url())).unwrap();
        let credentials = stripe::Credentials::own(self.stripe.secret_key());
        let request = request.with_idempotency_key(format!("owner-{number}"));
        client.send(&credentials, &request).await.unwrap().read().unwrap()
    }

    /// Ids of the mirrored objects of a kind, with whether they are gone.
    pub(crate) async fn mirrored(&self, kind: &str) -> BTreeMap<String, bool> {
        let mut tx = self.stage.store.read(TENANT).await.unwrap();
        let rows: Vec<(String, bool)> =
            q(sql!("SELECT id, deleted FROM mirror_objects WHERE tenant_id = $1 AND object_type = $2 ORDER BY id"))
                .bind(TENANT)
                .bind(kind)
                .all(&mut tx)
                .await
                .unwrap();
        rows.into_iter().collect()
    }

    /// The mirrored JSON of an object.
    pub(crate) async fn body(&self, kind: &str, id: &str) -> Option<serde_json::Value> {
        let row = self.mirror.object(TENANT, kind, id).await.unwrap()?;
        Some(serde_json::from_str(&row.body).unwrap())
    }

    /// Calls that Stripe answered so far, by endpoint.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        self.stripe.simulator.stats().calls.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}
