//! One run's world: a simulated Stripe, a database, one or several nodes, and a clock that all of them share and that
//! only the run moves.

use crate::{
    ProveError,
    balance::{Balancer, free_address},
    database::Database,
    node::Node,
    shop::Shop,
    step::ACCOUNTS,
    writes::{self, Write},
};
use futures::future::BoxFuture;
use kit::{
    Clock, Environment, HandClock, Secret, SeededRandomness, SharedClock, Stopwatch, SystemClock, TenantId, Time,
};
use platform::config::Config;
use server::{CallOptions, Parts, PartsOptions};
use simulator::{Options, RetryPlan, Simulator};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime};
use vault::{ConnectionId, ConnectionState, Keyring};

/// When every run begins: 2026-01-15T12:00:00Z.
const START: Time = Time::from_seconds(1_768_478_400);

/// Most vault keys of a run.
const VAULT_KEYS_MOST: u32 = 28;

/// The administrator's token of every node; its database lives as long as the run.
pub(crate) const ADMIN_TOKEN: &str = "bsr_one_proving_run_only_0123456789abcdef";

/// Everything that a restricted key may be given, so that another key can do what the first one could.
const PERMISSIONS: [&str; 14] = [
    "accounts_kyc_basic",
    "balance",
    "balance_transaction_source",
    "charge",
    "customer",
    "dispute",
    "event",
    "invoice",
    "payment_intent",
    "payout",
    "plan",
    "product",
    "subscription",
    "webhook",
];

/// How a world is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    /// A PostgreSQL server's address; none for SQLite.
    pub(crate) server: Option<String>,
    pub(crate) nodes: usize,
    /// Time is the machine's, as nodes in processes of their own have it, until it is moved ahead of it.
    pub(crate) machine_time: bool,
}

/// The machine's time and what it was moved ahead by.
#[derive(Clone, Debug)]
struct RunningClock {
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

/// What the prover knows of Bursar's side of an account.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) connection: Option<ConnectionId>,
    /// The key that Bursar was given last.
    pub(crate) key: Option<Secret>,
    /// An operation is under way; others are left out meanwhile.
    pub(crate) busy: bool,
}

/// One account of the run.
pub(crate) struct Account {
    pub(crate) shop: Shop,
    pub(crate) environment: Environment,
    pub(crate) tenant: TenantId,
    pub(crate) link: Arc<Mutex<Link>>,
}

impl Account {
    pub(crate) fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run's world.
pub(crate) struct World {
    pub(crate) setting: Setting,
    hand: HandClock,
    clock: SharedClock,
    pub(crate) simulator: Simulator,
    pub(crate) accounts: Vec<Account>,
    pub(crate) writes: Vec<Write>,
    /// Events that happened before this second need not be in the inbox.
    pub(crate) events_since: i64,
    /// When time was last moved by so much that Stripe may have forgotten events, since the last comparison.
    pub(crate) long_jump_at: Option<Time>,
    nodes: Vec<Option<Node>>,
    configs: Vec<Config>,
    starts: u64,
    vault_keys: String,
    vault_keys_made: u32,
    balancer: Option<Balancer>,
    database: Database,
    stripe: Background,
}

/// A runtime that ends by itself: it must not be dropped where tasks run.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Retries and limits as short as the run's own time: waits between tries are real, and the run's hours are seconds.
fn hasty() -> CallOptions {
    CallOptions {
        patience: gateway::Patience {
            one_try: Duration::from_millis(1_000),
            interactive: Duration::from_millis(3_000),
            background: Duration::from_millis(500),
        },
        retries: gateway::RetryOptions { first: Duration::from_millis(4), most: Duration::from_millis(60) },
        breaker: gateway::BreakerOptions {
            open_first: Duration::from_millis(100),
            open_most: Duration::from_millis(800),
            ..gateway::BreakerOptions::default()
        },
    }
}

impl World {
    /// A world with nothing connected.
    pub(crate) async fn open(setting: Setting) -> Result<World, ProveError> {
        let hand = HandClock::at(if setting.machine_time { SystemClock.now() } else { START });
        let clock: SharedClock = match setting.machine_time {
            true => Arc::new(RunningClock { hand: hand.clone(), since: Stopwatch::start() }),
            false => hand.shared(),
        };
        let database = Database::create(setting.server.as_deref()).await?;
        let stripe = Runtime::new().map_err(ProveError::io("starting the simulator's runtime"))?;
        let options = Options {
            clock: clock.clone(),
            seed: setting.seed,
            webhook_retry: RetryPlan {
                first: Duration::from_millis(15),
                timeout: Duration::from_secs(5),
                ..RetryPlan::quick()
            },
            ..Options::default()
        };
        let simulator = Simulator::new(options);
        let listening = ProveError::io("listening for the simulator");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(listening)?;
        let api = listener.local_addr().map_err(ProveError::io("listening for the simulator"))?;
        let listener = listener.into_std().map_err(ProveError::io("listening for the simulator"))?;
        let serving = simulator.clone();
        stripe.spawn(async move {
            // It listens as long as its runtime lives.
            match TcpListener::from_std(listener) {
                Ok(listener) => serving.serve(listener, std::future::pending()).await,
                Err(error) => tracing::error!(%error, "the simulator does not listen"),
            }
        });
        let router = {
            let _inside = stripe.enter();
            simulator.router()
        };
        let count = setting.nodes.max(1);
        let balancer = if count > 1 { Some(Balancer::start().await?) } else { None };
        let mut configs = Vec::new();
        for _ in 0..count {
            let listen = free_address()?;
            let public = balancer.as_ref().map_or(listen, |balancer| balancer.address);
            configs.push(Config {
                listen,
                public_url: Some(format!("http://{public}")),
                database_url: database.url.as_deref().map(Secret::from),
                stripe_api_base: format!("http://{api}"),
                admin_token: Some(Secret::from(ADMIN_TOKEN)),
                ..Config::embedded(database.folder())
            });
        }
        let vault_keys = {
            use kit::ExposeSecret;
            Keyring::generate_entry(START, &SeededRandomness::new(setting.seed)).expose_secret().to_owned()
        };
        let mut world = World {
            events_since: clock.now().seconds(),
            hand,
            clock,
            simulator,
            accounts: Vec::new(),
            writes: Vec::new(),
            long_jump_at: None,
            nodes: (0..count).map(|_| None).collect(),
            configs,
            starts: 0,
            vault_keys,
            vault_keys_made: 1,
            balancer,
            database,
            stripe: Background(Some(stripe)),
            setting,
        };
        for place in 0..count {
            world.start_node(place).await?;
        }
        let second = world.simulator.account_with_keys("Second");
        let first = world.simulator.default_account();
        let sides = [
            (first.account_id.clone(), first.secret_key_test, false),
            (second.account_id, second.secret_key_test, false),
            (first.account_id, first.secret_key_live, true),
        ];
        let tenants = world.parts()?.bootstrap.tenants;
        for (account, key, livemode) in sides {
            let environment = Environment::from_livemode(livemode);
            let tenant = tenants.iter().find(|(of, _)| *of == environment).map_or(tenants[0].1, |(_, tenant)| *tenant);
            let shop = Shop::open(router.clone(), key, &account, livemode).await?;
            world.accounts.push(Account { shop, environment, tenant, link: Arc::default() });
        }
        debug_assert_eq!(world.accounts.len(), ACCOUNTS);
        Ok(world)
    }

    /// Now, for everybody.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Moves time, and lets the simulator do what falls due.
    pub(crate) fn pass(&self, by: Duration) -> Result<(), ProveError> {
        self.hand.advance(by);
        self.simulator.advance(Duration::ZERO).map_err(ProveError::look("the simulator's time"))?;
        Ok(())
    }

    /// Moves time by so little that nothing falls due worth waking the simulator for.
    pub(crate) fn tick(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Two tenants: test and live.
    pub(crate) fn tenants(&self) -> [TenantId; 2] {
        [self.accounts[0].tenant, self.accounts[2].tenant]
    }

    /// The first node that runs.
    pub(crate) fn node(&self) -> Result<&Node, ProveError> {
        self.node_at(0)
    }

    /// A node that runs, chosen by a number.
    pub(crate) fn node_at(&self, pick: u64) -> Result<&Node, ProveError> {
        let running: Vec<&Node> = self.nodes.iter().flatten().collect();
        let place = usize::try_from(pick).unwrap_or(0).checked_rem(running.len());
        place
            .map(|place| running[place])
            .ok_or_else(|| ProveError::Look { what: "a node", reason: "none runs".to_owned() })
    }

    /// The slices of the first node that runs.
    pub(crate) fn parts(&self) -> Result<&Arc<Parts>, ProveError> {
        Ok(&self.node()?.parts)
    }

    async fn start_node(&mut self, place: usize) -> Result<(), ProveError> {
        self.starts += 1;
        let (seed, starts) = (self.setting.seed, self.starts);
        let clock = self.clock.clone();
        let options = || PartsOptions {
            clock: clock.clone(),
            // No two starts may make the same ids.
            randomness: SeededRandomness::shared(seed.wrapping_mul(0x9e37_79b9).wrapping_add(starts)),
            limits: None,
            calls: hasty(),
            reply_handlers: vec![Arc::new(writes::Effects)],
        };
        let config = self.config(place);
        self.nodes[place] = Some(Node::start(&config, options).await?);
        self.tell_balancer();
        Ok(())
    }

    /// What a node is told.
    pub(crate) fn config(&self, place: usize) -> Config {
        let mut config = self.configs[place].clone();
        if config.database_url.is_some() {
            config.vault_keys = Some(Secret::from(self.vault_keys.as_str()));
        }
        config
    }

    /// Starts every node that does not run.
    pub(crate) async fn start_nodes(&mut self) -> Result<(), ProveError> {
        for place in 0..self.nodes.len() {
            if self.nodes[place].is_none() {
                self.start_node(place).await?;
            }
        }
        Ok(())
    }

    /// Stops every node, as an operator does.
    pub(crate) async fn stop_nodes(&mut self) {
        for node in &mut self.nodes {
            if let Some(node) = node.take() {
                node.stop().await;
            }
        }
    }

    /// Tells the balancer of nodes that run in processes of their own.
    pub(crate) fn balance_to(&self, nodes: Vec<std::net::SocketAddr>) {
        if let Some(balancer) = &self.balancer {
            balancer.set(nodes);
        }
    }

    /// Another vault key for nodes that are started from now on; answers whether those that run have to be.
    pub(crate) fn add_vault_key(&mut self) -> Result<bool, ProveError> {
        use kit::ExposeSecret;
        self.starts += 1;
        self.vault_keys_made += 1;
        // A keyring holds 32; older ones would have to be taken away by a person.
        if self.vault_keys_made > VAULT_KEYS_MOST {
            return Ok(false);
        }
        let randomness =
            SeededRandomness::new(self.setting.seed ^ (self.starts << 32) ^ self.now().micros().unsigned_abs());
        if self.database.url.is_none() {
            Keyring::add_to_folder(&self.database.folder(), self.now(), &randomness)
                .map_err(ProveError::look("a new vault key"))?;
            return Ok(false);
        }
        let entry = Keyring::generate_entry(self.now(), &randomness);
        // What is older than the last four is not needed any more: everything has been re-sealed since.
        let kept = self.vault_keys.split(',').take(4).collect::<Vec<_>>().join(",");
        self.vault_keys = format!("{},{kept}", entry.expose_secret());
        Ok(true)
    }

    fn tell_balancer(&self) {
        if let Some(balancer) = &self.balancer {
            let running = self.nodes.iter().zip(&self.configs).filter(|(node, _)| node.is_some());
            balancer.set(running.map(|(_, config)| config.listen).collect());
        }
    }

    fn place_of(&self, pick: u64) -> usize {
        usize::try_from(pick).unwrap_or(0) % self.nodes.len().max(1)
    }

    /// Ends a node as `kill -9` does, and starts it again.
    pub(crate) async fn kill(&mut self, pick: u64) -> Result<(), ProveError> {
        let place = self.place_of(pick);
        if let Some(node) = self.nodes[place].take() {
            self.tell_balancer();
            node.kill().await;
        }
        self.start_node(place).await
    }

    /// Ends a node as an operator does, and starts it again.
    pub(crate) async fn restart(&mut self, pick: u64) -> Result<(), ProveError> {
        let place = self.place_of(pick);
        if let Some(node) = self.nodes[place].take() {
            self.tell_balancer();
            node.stop().await;
        }
        self.start_node(place).await
    }

    /// Gives every node a new vault key: by the folder on SQLite, by restarting one after another where keys are configured.
    pub(crate) async fn new_vault_key(&mut self) -> Result<(), ProveError> {
        if self.add_vault_key()? {
            for place in 0..self.nodes.len() {
                self.restart(place as u64).await?;
            }
        }
        Ok(())
    }

    /// Another key of an account, that may do everything.
    pub(crate) fn new_key(&self, account: usize) -> Result<Secret, ProveError> {
        let shop = &self.accounts[account].shop;
        let permissions: Vec<String> =
            PERMISSIONS.iter().flat_map(|name| [format!("rak_{name}_read"), format!("rak_{name}_write")]).collect();
        let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
        self.simulator
            .restricted_key(&shop.account, shop.livemode, &permissions)
            .map_err(ProveError::look("another key"))
    }

    /// Looks up which connections there are: a node that was killed may have made or ended one without telling.
    pub(crate) async fn look_up_links(&self) -> Result<(), ProveError> {
        let parts = self.parts()?;
        for account in &self.accounts {
            let mut tx = parts.base.store.read(account.tenant).await?;
            let found = parts.vault.connections(&mut tx).await.map_err(ProveError::look("the connections"))?;
            drop(tx);
            let current = found
                .into_iter()
                .find(|it| it.account_id == account.shop.account && it.state != ConnectionState::Disconnected);
            let mut link = account.link();
            link.connection = current.map(|it| it.id);
            link.busy = false;
        }
        Ok(())
    }

    /// Ends everything and removes the database.
    pub(crate) async fn close(mut self) -> Result<(), ProveError> {
        self.stop_nodes().await;
        let World { database, stripe, accounts, .. } = self;
        drop((accounts, stripe));
        database.remove().await
    }
}
