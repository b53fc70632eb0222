//! A node on an empty database beside a simulated Stripe, under a clock that is moved by hand.

use crate::DrillError;
use gateway::{LimitOptions, NewConnectionRequest, WebhookChoice};
use kit::{
    Clock, Environment, ExposeSecret, HandClock, Secret, SeededRandomness, SharedRandomness, Stopwatch, TenantId, Time,
    clock::pause,
};
use mirror::SyncKind;
use platform::{Roles, config::Config, job, schedule};
use serde_json::Value;
use server::{Parts, PartsOptions, Running};
use simulator::{AccountKeys, Business, Fault, Options, RetryPlan, Simulator};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vault::Connection;

/// When every scene begins: 2026-01-15T12:00:00Z.
pub const START: Time = Time::from_seconds(1_768_478_400);
/// Much longer than anything needs; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(150);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// How long things may go on before the clock is moved with them.
const BRIEF: Duration = Duration::from_millis(20);
/// Tries of a delivery that is not taken.
const DELIVERY_TRIES: u32 = 5;
/// Of webhooks that the drill delivers itself.
const SECRET: &str = "whsec_of_a_drill_and_of_nothing_else";

/// Where a node keeps its data, and what its chance depends on.
pub struct Place {
    /// Names the database, which must be empty. The scene sets addresses and keys.
    pub config: Config,
    /// Of ids, jitter and everything else that chance decides in the node.
    pub seed: u64,
}

/// Who delivers webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhooks {
    /// The simulator, as Stripe does.
    Stripe,
    /// The drill, with [`Scene::deliver`].
    Drill,
}

/// What a scene is set with.
pub struct Plan {
    /// Of the simulator: the same seed makes the same objects under the same clock.
    pub stripe_seed: u64,
    /// What the account holds before it is connected.
    pub business: Business,
    /// Who delivers webhooks.
    pub webhooks: Webhooks,
    /// Whether regular work is started, such as the sweep each quarter of an hour.
    pub scheduler: bool,
    /// The node's own limits.
    pub limits: Option<LimitOptions>,
}

/// A node beside a simulated Stripe, connected and in step.
pub struct Scene {
    /// Stripe.
    pub simulator: Simulator,
    /// The account that is connected.
    pub account: AccountKeys,
    /// Its connection.
    pub connection: Connection,
    /// Whose it is.
    pub tenant: TenantId,
    clock: HandClock,
    randomness: SharedRandomness,
    config: Config,
    limits: Option<LimitOptions>,
    node: Option<Running>,
    http: reqwest::Client,
    stripe_stops: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stripe_stops.cancel();
    }
}

impl Scene {
    /// Makes the business, starts the node, connects the account and waits until everything is read.
    ///
    /// # Errors
    /// Whatever keeps that from coming about.
    pub async fn set(place: Place, plan: Plan) -> Result<Scene, DrillError> {
        let clock = HandClock::at(START);
        let options = Options {
            clock: clock.shared(),
            seed: plan.stripe_seed,
            webhook_retry: RetryPlan::quick(),
            ..Options::default()
        };
        let simulator = Simulator::new(options);
        let account = simulator.default_account();
        simulator.generate(&account.account_id, &plan.business)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stripe_url = format!("http://{}", listener.local_addr()?);
        let stripe_stops = CancellationToken::new();
        tokio::spawn(simulator.clone().serve(listener, stripe_stops.clone().cancelled_owned()));

        let randomness = SeededRandomness::shared(place.seed);
        let listen = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = Config {
            listen,
            public_url: Some(format!("http://{listen}")),
            roles: Roles { scheduler: plan.scheduler, ..Roles::ALL },
            admin_token: Some(Secret::from("bsr_a_drill_and_nothing_else_0123456789")),
            vault_keys: Some(vault::Keyring::generate_entry(START, &*randomness)),
            stripe_api_base: stripe_url,
            ..place.config
        };
        let node = start(&config, &clock, &randomness, plan.limits.as_ref()).await?;
        let tenants = &node.parts.bootstrap.tenants;
        let tenant = tenants.iter().find(|(environment, _)| *environment == Environment::Test).map(|it| it.1);
        let tenant = tenant.ok_or_else(|| DrillError::refused("the test environment", "the node has none"))?;
        let request = NewConnectionRequest {
            api_key: account.secret_key_test.clone(),
            lookback_days: None,
            display_name: None,
            webhook: match plan.webhooks {
                Webhooks::Stripe => WebhookChoice::Auto,
                Webhooks::Drill => WebhookChoice::Secret(Secret::from(SECRET)),
            },
        };
        let connected = node.parts.gateway.connect(tenant, Environment::Test, request).await;
        let connection = connected.map_err(|error| DrillError::refused("connecting the account", error))?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let scene = Scene {
            simulator,
            account,
            connection,
            tenant,
            clock,
            randomness,
            config,
            limits: plan.limits,
            node: Some(node),
            http,
            stripe_stops,
        };
        scene.quiet().await?;
        Ok(scene)
    }

    /// The node's slices.
    ///
    /// # Errors
    /// While the node is stopped.
    pub fn parts(&self) -> Result<&Arc<Parts>, DrillError> {
        let stopped = || DrillError::refused("a look at the node", "it is stopped");
        self.node.as_ref().map(|node| &node.parts).ok_or_else(stopped)
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Lets time pass at Stripe too: renewals, payouts, money that becomes available.
    ///
    /// # Errors
    /// The simulator's.
    pub fn pass(&self, by: Duration) -> Result<(), DrillError> {
        self.clock.advance(by);
        self.simulator.advance(Duration::ZERO)?;
        Ok(())
    }

    /// Lets time pass while nothing happens at Stripe.
    pub fn pass_idle(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Lets something go wrong at Stripe.
    ///
    /// # Errors
    /// The simulator's, for what could never happen.
    pub fn fail(&self, fault: Fault) -> Result<(), DrillError> {
        self.simulator.faults().set(fault).map(drop).map_err(|error| DrillError::refused("a fault", error))
    }

    /// Stops the node as an operator does.
    pub async fn stop_node(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    /// Starts it again.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub async fn start_node(&mut self) -> Result<(), DrillError> {
        self.node = Some(start(&self.config, &self.clock, &self.randomness, self.limits.as_ref()).await?);
        Ok(())
    }

    /// Delivers an event as Stripe does: again, if it is not taken.
    ///
    /// # Errors
    /// Any other answer than 200 to the last try.
    pub async fn deliver(&self, body: &str) -> Result<(), DrillError> {
        let url = format!("http://{}/webhooks/stripe/{}", self.config.listen, self.connection.id);
        let mut tries = 0;
        loop {
            tries += 1;
            let signature = stripe::signature::sign(body.as_bytes(), &[Secret::from(SECRET)], self.now());
            let request = self.http.post(&url).header("stripe-signature", signature).body(body.to_owned());
            let outcome = match request.send().await {
                Ok(answer) => answered("a delivery", answer).await.map(drop),
                Err(error) => Err(error.into()),
            };
            if outcome.is_ok() || tries == DELIVERY_TRIES {
                return outcome;
            }
            pause(LOOK * 100).await;
        }
    }

    /// What the business's own server does at Stripe.
    ///
    /// # Errors
    /// Stripe's refusals.
    pub async fn at_stripe(&self, method: &str, path: &str, form: &str) -> Result<Value, DrillError> {
        let what = format!("{method} {path}");
        let method = method.parse().map_err(|error| DrillError::refused(&what, format!("{error}")))?;
        let request = self
            .http
            .request(method, format!("{}{path}", self.config.stripe_api_base))
            .bearer_auth(self.account.secret_key_test.expose_secret())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let text = answered(&what, request.send().await?).await?;
        serde_json::from_str(&text).map_err(|error| DrillError::refused(what, error))
    }

    /// Asks for a sync that reads what happened since the last one. It runs as soon as a worker takes it.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_for_sync(&self) -> Result<(), DrillError> {
        let parts = self.parts()?;
        let mut tx = parts.base.store.begin(self.tenant).await?;
        let asked = parts.mirror.request_sync(&mut tx, &self.connection.id, SyncKind::Incremental, "drill").await;
        asked.map_err(|error| DrillError::refused("a sync", error))?;
        tx.commit().await?;
        Ok(())
    }

    /// Waits until nothing that is due is left to do.
    ///
    /// # Errors
    /// [`DrillError::NeverQuiet`] with what it was.
    pub async fn quiet(&self) -> Result<(), DrillError> {
        match self.quiet_within(PATIENCE).await? {
            None => Ok(()),
            Some(waiting) => Err(DrillError::NeverQuiet { waiting }),
        }
    }

    /// The same, for as long as `patience` of real time; answers what is still under way. For while calls wait for the
    /// clock, which stands still meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub async fn quiet_within(&self, patience: Duration) -> Result<Option<String>, DrillError> {
        let watch = Stopwatch::start();
        loop {
            let moving = self.moving().await?;
            if moving.is_none() || watch.elapsed() >= patience {
                return Ok(moving);
            }
            pause(LOOK).await;
        }
    }

    /// Moves the clock in steps until nothing is left to do at all; answers how much time passed.
    ///
    /// # Errors
    /// [`DrillError::NeverQuiet`] after `most`.
    pub async fn settle(&self, step: Duration, most: Duration) -> Result<Duration, DrillError> {
        let mut passed = Duration::ZERO;
        loop {
            // What is under way takes real time, or waits for the clock: meanwhile both run alike. Leaps are for what is put off.
            let (waiting, by) = match self.quiet_within(BRIEF).await? {
                Some(moving) => (moving, BRIEF),
                None => match self.waiting().await? {
                    Some(waiting) => (waiting, step),
                    None => return Ok(passed),
                },
            };
            if passed >= most {
                return Err(DrillError::NeverQuiet { waiting });
            }
            self.pass(by)?;
            passed += by;
        }
    }

    /// Something that is due, or under way.
    async fn moving(&self) -> Result<Option<String>, DrillError> {
        let parts = self.parts()?;
        let now = self.now();
        let mut tx = parts.base.store.read_system().await?;
        if self.config.roles.scheduler {
            let rows = schedule::list(&mut tx).await?;
            if rows.is_empty() || rows.iter().any(|row| row.next_run_at <= now.micros()) {
                return Ok(Some("a schedule is due".to_owned()));
            }
        }
        let (due, running) = job::due_and_running(&mut tx, now).await?;
        drop(tx);
        if due + running > 0 {
            return Ok(Some(format!("{due} jobs are due and {running} run")));
        }
        let deliveries = self.simulator.stats().webhooks.waiting;
        if deliveries > 0 {
            return Ok(Some(format!("{deliveries} webhooks are to be delivered")));
        }
        let counts = parts.inbox.counts(self.tenant).await.map_err(|error| DrillError::refused("the inbox", error))?;
        Ok((counts.ready > 0).then(|| format!("{} events are to be processed", counts.ready)))
    }

    /// Something that is left to do, though it may not be due yet. Gathering of what only makes reading faster is not asked
    /// about.
    async fn waiting(&self) -> Result<Option<String>, DrillError> {
        let parts = self.parts()?;
        let counts = parts.inbox.counts(self.tenant).await.map_err(|error| DrillError::refused("the inbox", error))?;
        let summary = parts.mirror.summary(self.tenant).await;
        let summary = summary.map_err(|error| DrillError::refused("the mirror", error))?;
        let mut tx = parts.base.store.read(self.tenant).await?;
        let outbox = parts.gateway.outbox_counts(&mut tx).await?;
        let left = [
            ("events", counts.ready + counts.failed),
            ("objects to be read again", summary.rereads_waiting),
            ("syncs", summary.connections.iter().filter(|(_, status)| status.current.is_some()).count() as i64),
            ("intents", outbox.pending + outbox.sent),
        ];
        let left: Vec<String> =
            left.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect();
        Ok((!left.is_empty()).then(|| left.join(", ")))
    }
}

/// Starts a node; where one stopped a moment ago, as soon as its folder is free.
async fn start(
    config: &Config,
    clock: &HandClock,
    randomness: &SharedRandomness,
    limits: Option<&LimitOptions>,
) -> Result<Running, DrillError> {
    let watch = Stopwatch::start();
    loop {
        let options = PartsOptions {
            clock: clock.shared(),
            randomness: randomness.clone(),
            limits: limits.cloned(),
            ..PartsOptions::default()
        };
        match server::start(config, options).await {
            Err(error)
                if matches!(error.code(), "folder_in_use" | "port_in_use")
                    && watch.elapsed() < Duration::from_secs(10) =>
            {
                pause(LOOK).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

async fn answered(what: &str, answer: reqwest::Response) -> Result<String, DrillError> {
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() { Ok(text) } else { Err(DrillError::refused(what, format!("{status} {text}"))) }
}
