//! The gateway against a scripted Stripe (what must be exact) and against the simulator (what must be lifelike).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod connections;
mod doors;
mod intents;
mod scripted;

use gateway::{BreakerOptions, Gateway, GatewayOptions, LimitOptions, Patience, RetryOptions};
use identity::{Caller, CallerKind, OrganizationId};
use kit::{Environment, Secret, TenantId};
use platform::{Base, Subscriber};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use testkit::Stage;
use vault::{ConnectionId, Keyring, Linked, NewConnection, Vault};

const TENANT: TenantId = TenantId(1);
const OTHER_TENANT: TenantId = TenantId(2);
const VAULT_KEY: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

testkit::on_both_engines!(every_statement_is_understood);

async fn every_statement_is_understood(stage: Stage) {
    stage.store.prepare_all().await.unwrap();
}

/// A gateway on a stage, with short waits so that retries do not make tests long.
struct World {
    stage: Stage,
    base: Base,
    gateway: Gateway,
    heard: Heard,
}

/// Stripe's limits and patience, with waits of a few milliseconds.
fn quick(api_base: &str) -> GatewayOptions {
    GatewayOptions {
        limits: Some(LimitOptions { account_test: 1_000, endpoint: 1_000, ..LimitOptions::default() }),
        retries: RetryOptions { first: Duration::from_millis(2), most: Duration::from_millis(10) },
        patience: Patience { background: Duration::from_secs(5), ..Patience::default() },
        breaker: BreakerOptions { failures: 50, failures_in_a_row: 50, ..BreakerOptions::default() },
        ..GatewayOptions::at(api_base)
    }
}

impl World {
    fn new(stage: &Stage, options: GatewayOptions) -> World {
        let base =
            Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() };
        let vault = Vault::open(base.clone(), Keyring::parse(&Secret::from(VAULT_KEY)).unwrap());
        let gateway = Gateway::new(base.clone(), vault, options).unwrap();
        World { stage: stage.clone(), base, gateway, heard: Heard::default() }
    }

    /// A connection, as if its key had been checked.
    async fn connected(&self, key: &str) -> ConnectionId {
        let vault = self.gateway.vault();
        let mut tx = self.stage.store.begin(TENANT).await.unwrap();
        let new = NewConnection {
            provider: "stripe",
            account_id: "acct_scripted",
            environment: Environment::Test,
            display_name: "Acme",
            api_key: &Secret::from(key),
            key_hint: "sk_test_…4242",
            key_kind: "secret",
            lookback_days: None,
            api_base: None,
        };
        let connection = vault.insert_connection(&mut tx, new).await.unwrap();
        tx.commit().await.unwrap();
        connection.id
    }

    async fn linked(&self, id: &ConnectionId) -> Arc<Linked> {
        self.gateway.vault().linked(id).await.unwrap().expect("the connection is there")
    }

    /// The gateway's routes, called by somebody in the test environment.
    fn router(&self) -> axum::Router {
        self.router_for(TENANT, Environment::Test)
    }

    fn router_for(&self, tenant: TenantId, environment: Environment) -> axum::Router {
        let caller =
            Caller { organization: OrganizationId::from_text("org_1"), environment, tenant, kind: CallerKind::Token };
        gateway::slice(&self.gateway).routes.layer(axum::Extension(caller))
    }

    /// Runs the gateway's jobs until the returned guard is dropped.
    fn working(&self) -> tokio_util::sync::DropGuard {
        let stopping = platform::CancellationToken::new();
        let hear = |topic| Subscriber { name: "test", topic, tell: self.heard.tell() };
        let mut jobs = gateway::slice(&self.gateway).jobs;
        jobs.push(platform::notice::delivery(TOPICS.map(hear).to_vec()));
        tokio::spawn(platform::worker::run(self.base.clone(), jobs, stopping.clone()));
        stopping.drop_guard()
    }

    /// Waits until a topic was told so often.
    async fn hear(&self, topic: &str, times: usize) {
        let _working = self.working();
        let what = format!("{topic} to be told {times} times");
        testkit::wait_for(&what, || async {
            let heard = self.heard.0.lock().unwrap();
            (heard.iter().filter(|heard| *heard == topic).count() == times).then_some(())
        })
        .await;
    }
}

/// The gateway's notices.
const TOPICS: [&str; 5] = [
    "connection.created",
    "connection.key_refused",
    "connection.key_replaced",
    "connection.disconnected",
    "intent.in_doubt",
];

/// Topics that were told.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn tell(&self) -> platform::notice::Tell {
        let heard = self.clone();
        Arc::new(move |_, notice| {
            heard.0.lock().unwrap().push(notice.topic);
            Box::pin(async { Ok(()) })
        })
    }
}
