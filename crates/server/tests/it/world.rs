//! A node on a fresh database beside a simulated Stripe: started, called, stopped, killed and started again.

use futures::future::BoxFuture;
use gateway::LimitOptions;
use kit::{
    Clock, Environment, ExposeSecret, HandClock, Secret, SharedClock, SharedRandomness, Stopwatch, TenantId, Time,
};
use platform::config::Config;
use serde_json::{Value, json};
use server::{PartsOptions, Running, StartError};
use simulator::{Business, Options, RetryPlan};
use std::{
    cell::Cell,
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use stripe::ObjectKind;
use testkit::{Answer, Engine, SimulatedStripe, Stage, wait_for};

/// The administrator's token of every node here.
pub(crate) const TOKEN: &str = "bsr_the_whole_programs_tests_0123456789";
/// The vault's key of every node here.
pub(crate) const VAULT_KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Shows the stage's clock, and runs beside it: what waits for a later second gets one.
#[derive(Clone, Debug)]
pub(crate) struct RunningClock {
    hand: HandClock,
    since: Stopwatch,
}

impl Clock for RunningClock {
    fn now(&self) -> Time {
        self.hand.now() + self.since.elapsed()
    }

    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            while clock.now() < at {
                // Short, because the hand may be moved meanwhile.
                kit::clock::pause(at.since(clock.now()).min(Duration::from_millis(20))).await;
            }
        })
    }
}

/// A node, its database and its Stripe.
pub(crate) struct World {
    pub(crate) stripe: SimulatedStripe,
    pub(crate) config: Config,
    pub(crate) hand: HandClock,
    pub(crate) engine: Engine,
    /// Of the database.
    pub(crate) url: String,
    clock: SharedClock,
    randomness: SharedRandomness,
    node: Option<Running>,
    client: reqwest::Client,
    limits: Option<LimitOptions>,
    /// Where nodes on PostgreSQL keep their files.
    _folder: tempfile::TempDir,
}

/// How a world differs from the usual one.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) stripe: Options,
    pub(crate) limits: Option<LimitOptions>,
    pub(crate) change: Option<fn(&mut Config)>,
}

/// Kinds of facts that change what an account earns.
const PAYMENTS: [&str; 5] = ["charge", "refund", "refund_failure", "dispute", "dispute_reversal"];

/// A port that is free right now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.timeout(Duration::from_secs(60)).build().unwrap()
}

impl World {
    /// A started node with nothing connected.
    pub(crate) async fn start(stage: Stage) -> World {
        World::start_with(stage, Plan::default()).await
    }

    /// The same, with changes.
    pub(crate) async fn start_with(stage: Stage, plan: Plan) -> World {
        let mut world = World::set_up(stage, plan).await;
        world.start_node().await;
        world
    }

    /// Everything but the node.
    pub(crate) async fn set_up(stage: Stage, plan: Plan) -> World {
        let hand = stage.clock.clone();
        let clock: SharedClock = Arc::new(RunningClock { hand: hand.clone(), since: Stopwatch::start() });
        let options =
            Options { clock: clock.clone(), seed: stage.seed, webhook_retry: RetryPlan::quick(), ..plan.stripe };
        let stripe = SimulatedStripe::start_with(options).await;
        let folder = tempfile::tempdir().unwrap();
        let (engine, url) = (stage.engine(), stage.url().to_owned());
        let (data_dir, database_url) = match engine {
            Engine::Sqlite => (PathBuf::from(url.strip_prefix("sqlite:").unwrap()).parent().unwrap().to_owned(), None),
            Engine::Postgres => (folder.path().to_owned(), Some(Secret::from(url.as_str()))),
        };
        let listen = free_address();
        let mut config = Config {
            database_url,
            listen,
            public_url: Some(format!("http://{listen}")),
            admin_token: Some(Secret::from(TOKEN)),
            vault_keys: Some(Secret::from(VAULT_KEYS)),
            stripe_api_base: stripe.base_url(),
            ..Config::embedded(data_dir)
        };
        if let Some(change) = plan.change {
            change(&mut config);
        }
        // A folder of SQLite serves one store at a time, and the node opens its own.
        stage.store.close().await;
        let randomness = stage.randomness.clone();
        drop(stage);
        World {
            stripe,
            config,
            hand,
            engine,
            url,
            clock,
            randomness,
            node: None,
            client: client(),
            limits: plan.limits,
            _folder: folder,
        }
    }

    /// What a node is started with beside its configuration.
    pub(crate) fn options(&self) -> PartsOptions {
        PartsOptions {
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            limits: self.limits.clone(),
            ..PartsOptions::default()
        }
    }

    /// Starts the node; where one stopped a moment ago, as soon as its folder is free.
    pub(crate) async fn start_node(&mut self) {
        let world = &*self;
        let started = wait_for("the node to start", || async move {
            match server::start(&world.config, world.options()).await {
                Ok(node) => Some(node),
                Err(error) if error.code() == "folder_in_use" || error.code() == "port_in_use" => None,
                Err(error) => panic!("the node did not start: {error}"),
            }
        })
        .await;
        self.node = Some(started);
    }

    /// A further node with another configuration, or why it does not start.
    pub(crate) async fn another(&self, config: &Config) -> Result<Running, StartError> {
        server::start(config, self.options()).await
    }

    /// Stops the node as an operator does.
    pub(crate) async fn stop_node(&mut self) {
        self.node.take().unwrap().stop().await;
    }

    /// Ends the node as `kill -9` does: whatever it was doing stays half done.
    pub(crate) async fn kill_node(&mut self) {
        let node = self.node.take().unwrap();
        let store = node.parts.base.store.clone();
        drop(node);
        // What a dying process leaves to the operating system: its files, and connections of its clients.
        store.close().await;
        self.client = client();
    }

    /// Looks at another node from now on.
    pub(crate) fn take_over(&mut self, node: Running) {
        self.node = Some(node);
    }

    pub(crate) fn node(&self) -> &Running {
        self.node.as_ref().unwrap()
    }

    /// The tenant that everything here happens in.
    pub(crate) fn tenant(&self) -> TenantId {
        let tenants = &self.node().parts.bootstrap.tenants;
        tenants.iter().find(|(environment, _)| *environment == Environment::Test).unwrap().1
    }

    /// What the node's clock shows.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Any request at all.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let asked = format!("{} {}", request.method(), request.url());
        let answer = self.client.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { asked, status, headers, body: answer.bytes().await.unwrap() }
    }

    /// A request to the node, without a token.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_at(self.config.listen, method, path)
    }

    /// The same, to another node.
    pub(crate) fn request_at(&self, node: SocketAddr, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("http://{node}{path}"))
    }

    /// A GET with the token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).bearer_auth(TOKEN)).await
    }

    /// A POST of JSON with the token.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.request("POST", path).bearer_auth(TOKEN).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// What a business's own server does at Stripe: a form, with the account's key.
    pub(crate) async fn at_stripe(&self, method: &str, path: &str, form: &str) -> Value {
        let request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.stripe.base_url()))
            .bearer_auth(self.stripe.secret_key().expose_secret())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        self.send(request).await.expect(200).json()
    }

    /// What the simulator is told from outside.
    pub(crate) async fn at_simulator(&self, path: &str, body: &Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.stripe.base_url())).body(body.to_string());
        self.send(request).await.expect(200).json()
    }

    /// A business of some months, small enough to be read in a moment.
    pub(crate) fn generate(&self, customers: u32, charges: u32) {
        self.stripe.generate(&Business { customers, charges, months: 6, ..Business::default() });
    }

    /// Connects the account; answers the connection's id.
    pub(crate) async fn connect(&self) -> String {
        let key = self.stripe.secret_key();
        let answer = self.post("/v1/connections", &json!({ "api_key": key.expose_secret() })).await.expect(201);
        answer.json::<Value>()["id"].as_str().unwrap().to_owned()
    }

    /// How the connection's sync stands.
    pub(crate) async fn sync_status(&self, connection: &str) -> Value {
        self.get(&format!("/v1/connections/{connection}/sync-status")).await.expect(200).json()
    }

    /// Waits until no sync runs or waits; answers the last one.
    pub(crate) async fn synced(&self, connection: &str) -> Value {
        wait_for("the sync to complete", || async {
            let status = self.sync_status(connection).await;
            (status["current"].is_null() && !status["last_completed"].is_null()).then_some(status)
        })
        .await
    }

    /// Asks for a sync that reads what happened since the last one, and waits for its end.
    pub(crate) async fn sync(&self, connection: &str) -> Value {
        self.post(&format!("/v1/connections/{connection}/sync"), &json!({ "kind": "incremental" })).await.expect(202);
        self.synced(connection).await
    }

    /// Waits until every delivery has come to its end, every event was processed and nothing is left to be read again.
    pub(crate) async fn settled(&self) {
        let looks = Cell::new(0_u32);
        wait_for("webhooks to be delivered and processed", || async {
            let webhooks = self.stripe.simulator.stats().webhooks;
            let counts = self.node().parts.inbox.counts(self.tenant()).await.unwrap();
            assert_eq!(counts.dead, 0, "no event may be given up");
            let objects: Value = self.get("/v1/objects").await.expect(200).json();
            let is_quiet = webhooks.waiting == 0 && counts.ready + counts.failed == 0;
            looks.set(looks.get() + 1);
            // Long before the wait ends in vain: what it waits for.
            if looks.get().is_multiple_of(200) {
                eprintln!("still waiting: {webhooks:?} {counts:?} {objects}");
            }
            (is_quiet && objects["rereads_waiting"] == 0).then_some(())
        })
        .await;
    }

    /// How many objects of each kind are mirrored, those that are gone at Stripe left out.
    pub(crate) async fn mirrored(&self) -> BTreeMap<String, i64> {
        let objects: Value = self.get("/v1/objects").await.expect(200).json();
        let kinds = objects["data"].as_array().unwrap();
        kinds
            .iter()
            .map(|kind| {
                let count = kind["objects"].as_i64().unwrap() - kind["deleted"].as_i64().unwrap();
                (kind["object_type"].as_str().unwrap().to_owned(), count)
            })
            .collect()
    }

    /// Fails the test unless the mirror holds as many objects of each kind as Stripe, and the figures are Stripe's.
    pub(crate) async fn assert_ties_out(&self) {
        let counts = self.stripe.simulator.counts(&self.stripe.account.account_id, false).unwrap();
        let mirrored = self.mirrored().await;
        for kind in ObjectKind::ALL {
            let name = kind.object_name();
            let (ours, theirs) = (mirrored.get(name).copied().unwrap_or(0), counts.get(name).copied().unwrap_or(0));
            assert_eq!(ours, theirs as i64, "{name}s that are mirrored, and that Stripe has");
        }
        self.assert_payments_agree().await;
        self.assert_balance_agrees().await;
    }

    /// Charges and refunds by currency are those of the simulator's own books.
    pub(crate) async fn assert_payments_agree(&self) {
        let books = self.stripe.simulator.totals(&self.stripe.account.account_id, false).unwrap();
        let totals = self.node().parts.revenue.totals(self.tenant()).await.unwrap();
        for (currency, presented) in &books.presented {
            let ours = totals.iter().find(|total| total.currency.code().eq_ignore_ascii_case(currency));
            let ours = ours.map(|total| (total.gross_minor, total.refunds_minor)).unwrap_or_default();
            assert_eq!(ours, (presented.charged, presented.refunded), "taken and given back in {currency}");
        }
    }

    /// The tie-out finds no difference, and what it proves is what the simulator's own books say.
    pub(crate) async fn assert_balance_agrees(&self) {
        let books = self.stripe.simulator.totals(&self.stripe.account.account_id, false).unwrap();
        let tie_out = self.node().parts.revenue.tie_out(self.tenant()).await.unwrap();
        assert!(
            tie_out.agrees(),
            "{} differences: {:#?} {:#?}",
            tie_out.difference_count,
            tie_out.differences,
            tie_out.rows
        );
        assert_eq!(tie_out.awaited, 0, "everything is booked");
        for (currency, settled) in &books.settled {
            let Some(row) = tie_out.rows.iter().find(|row| row.currency.code().eq_ignore_ascii_case(currency)) else {
                panic!("no row of the tie-out is in {currency}");
            };
            // What was converted on its way stands in no row.
            let converted = |kinds: &[&str]| -> i64 {
                let of = tie_out.converted.iter().filter(|it| it.to == row.currency && kinds.contains(&it.kind));
                of.map(|it| it.to_minor).sum()
            };
            let found = [
                row.charges.balance_minor + converted(&["charge"]),
                row.refunds.balance_minor - converted(&["refund", "refund_failure"]),
                row.disputes.balance_minor - converted(&["dispute", "dispute_reversal"]),
                row.fees.balance_minor,
                row.net.balance_minor + converted(&PAYMENTS),
                row.payouts.balance_minor,
            ];
            let disputes = settled.disputes - settled.dispute_reversals;
            let expected = [settled.gross, settled.refunds, disputes, settled.fees, settled.net, settled.payouts];
            assert_eq!(found, expected, "charges, refunds, disputes, fees, net, payouts in {currency}");
        }
    }

    /// Calls of one kind that the simulator has answered.
    pub(crate) fn calls(&self, name: &str) -> u64 {
        self.stripe.simulator.stats().calls.get(name).copied().unwrap_or(0)
    }
}
