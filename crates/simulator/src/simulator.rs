//! The simulator itself: accounts, keys, time, and the few things that tests and the demonstration ask of it directly.

use crate::{
    book::Book,
    books::Totals,
    calendar::{DAY, midnight, weekday},
    cli_session::CliCounts,
    faults::FaultBook,
    generate::{self, Business, Summary},
    idempotency::Remembered,
    ids::Ids,
    keys::{Key, KeyKind, Keys},
    limits::{Limiter, Limits},
    money, passing,
    resources::{
        Kind, account,
        balance_transaction::{self, Movement},
        payout,
    },
    routes,
    stats::{Counters, DeliveryTold, Stats},
    traffic::Traffic,
    webhooks::{Deliveries, RetryPlan, set_status},
    work::{Cause, Work},
};
use kit::{ExposeSecret, Secret, SharedClock, SystemClock};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// How a simulator behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where time comes from; `/_sim/time` moves simulated time ahead of it.
    pub clock: SharedClock,
    /// The same seed gives the same ids, keys and business.
    pub seed: u64,
    /// Rate limits.
    pub limits: Limits,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// When webhooks that failed are tried again.
    pub webhook_retry: RetryPlan,
    /// How far searches lag behind what has changed, in simulated time (FACTS section 8).
    pub search_lag: Duration,
    /// How far the event list of v2 lags behind what has happened, in simulated time: v2 lists are eventually consistent.
    pub event_lag: Duration,
    /// The version of calls that name none: the account's default (FACTS section 1).
    pub default_version: &'static str,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: SystemClock::shared(),
            seed: 1,
            limits: Limits::Off,
            latency: Duration::ZERO,
            webhook_retry: RetryPlan::default(),
            search_lag: Duration::from_secs(5),
            event_lag: Duration::from_secs(1),
            default_version: crate::API_VERSION,
        }
    }
}

/// What can go wrong when the simulator is told to do something.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// There is no account with this id.
    #[error("the simulator has no account `{0}`")]
    NoAccount(String),
    /// What was asked for cannot be done.
    #[error("{0}")]
    Refused(String),
    /// The fault could never happen as it is described, or too many are set.
    #[error("the fault cannot be set: {0}")]
    Fault(String),
    /// The fixtures are not what Stripe publishes.
    #[error("the fixtures are not JSON with a `resources` object: {0}")]
    Fixtures(String),
    /// Time cannot be moved by this much at once.
    #[error("time can be moved by at most {max} seconds at once, not by {asked}")]
    TooFar {
        /// What was asked for.
        asked: i64,
        /// The most that is done.
        max: i64,
    },
}

/// Ids and keys of an account.
#[derive(Clone, Debug)]
pub struct AccountKeys {
    /// `acct_…`
    pub account_id: String,
    /// `sk_test_…`
    pub secret_key_test: Secret,
    /// `sk_live_…`
    pub secret_key_live: Secret,
    /// `pk_test_…`
    pub publishable_key_test: Secret,
    /// `pk_live_…`
    pub publishable_key_live: Secret,
}

/// What loading fixtures did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Loaded {
    /// How many objects were put into the account.
    pub objects: usize,
    /// The `object` words that the simulator does not keep.
    pub skipped: Vec<String>,
}

/// Time is moved by at most this much at once: every day of it makes payouts and renewals.
const ADVANCE_MAX_SECONDS: i64 = 3 * 366 * DAY;

/// One account in one mode.
pub(crate) struct Side {
    pub(crate) account: Arc<str>,
    pub(crate) livemode: bool,
    book: RwLock<Book>,
    remembered: Mutex<Remembered>,
    limiter: Mutex<Limiter>,
}

impl Side {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, Book>> {
        self.book.try_read().ok()
    }
    pub(crate) fn remembered(&self) -> MutexGuard<'_, Remembered> {
        lock(&self.remembered)
    }
    pub(crate) fn limiter(&self) -> MutexGuard<'_, Limiter> {
        lock(&self.limiter)
    }
}

struct Account {
    keys: AccountKeys,
    test: Arc<Side>,
    live: Arc<Side>,
}

pub(crate) struct Inner {
    pub(crate) options: Options,
    /// Seconds that simulated time is ahead of the clock.
    ahead: AtomicI64,
    pub(crate) ids: Ids,
    /// Apart from the ids of objects, so that how often somebody reads does not change what is created.
    pub(crate) request_ids: Ids,
    keys: RwLock<Keys>,
    accounts: RwLock<BTreeMap<String, Account>>,
    default_account: String,
    faults: Mutex<FaultBook>,
    pub(crate) counters: Counters,
    pub(crate) deliveries: Deliveries,
    pub(crate) cli_counts: CliCounts,
    pub(crate) traffic: Mutex<Option<Traffic>>,
}

/// A stand-in for Stripe. Clones are the same simulator.
#[derive(Clone)]
pub struct Simulator {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("default_account", &self.inner.default_account).finish_non_exhaustive()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// A simulator with one account and nothing in it.
    pub fn new(options: Options) -> Simulator {
        // Not the stream that a business of the same seed is made from: its ids would come again, and with them take the
        // place of what they name (tests/it/business.rs, what_comes_later_takes_the_place_of_nothing).
        let ids = Ids::new(options.seed ^ 0x11fe_0b1d);
        let default_account = ids.letters("acct_1", 15);
        let simulator = Simulator {
            inner: Arc::new(Inner {
                ahead: AtomicI64::new(0),
                request_ids: Ids::new(options.seed ^ 0x5eed_0f1d),
                keys: RwLock::default(),
                accounts: RwLock::default(),
                default_account: default_account.clone(),
                faults: Mutex::default(),
                counters: Counters::new(routes::all().len()),
                deliveries: Deliveries::default(),
                cli_counts: CliCounts::default(),
                traffic: Mutex::default(),
                ids,
                options,
            }),
        };
        simulator.put_account(default_account, "Bursar Demo", "owner@bursar.example", "bursar_demo_");
        simulator
    }

    /// Adds an account with keys of its own.
    pub fn account_with_keys(&self, name: &str) -> AccountKeys {
        let id = self.inner.ids.letters("acct_1", 15);
        self.put_account(id, name, "owner@account.example", "")
    }

    fn put_account(&self, id: String, name: &str, email: &str, mark: &str) -> AccountKeys {
        let make = |prefix: &str| Secret::from(self.inner.ids.letters(&format!("{prefix}{mark}"), 24));
        let keys = AccountKeys {
            account_id: id.clone(),
            secret_key_test: make("sk_test_"),
            secret_key_live: make("sk_live_"),
            publishable_key_test: make("pk_test_"),
            publishable_key_live: make("pk_live_"),
        };
        let side = |livemode| {
            let mut book = Book::new(id.as_str().into(), livemode);
            let now = self.now();
            book.paid_out_until = now;
            let seconds = |lag: Duration| i64::try_from(lag.as_secs()).unwrap_or(i64::MAX);
            book.unindexed.lag_seconds = seconds(self.inner.options.search_lag);
            book.event_lag_seconds = seconds(self.inner.options.event_lag);
            book.put(Kind::Account, account::text(&id, name, email, now), now);
            Arc::new(Side {
                account: id.as_str().into(),
                livemode,
                book: RwLock::new(book),
                remembered: Mutex::default(),
                limiter: Mutex::new(Limiter::new(self.inner.options.limits, livemode)),
            })
        };
        let account = Account { keys: keys.clone(), test: side(false), live: side(true) };
        let known: [(&Secret, bool, KeyKind); 4] = [
            (&keys.secret_key_test, false, KeyKind::Secret),
            (&keys.secret_key_live, true, KeyKind::Secret),
            (&keys.publishable_key_test, false, KeyKind::Publishable),
            (&keys.publishable_key_live, true, KeyKind::Publishable),
        ];
        let mut registry = self.keys_mut();
        for (secret, livemode, kind) in known {
            registry.put(secret, Key { account: id.as_str().into(), livemode, kind, revoked: false });
        }
        drop(registry);
        self.inner.accounts.write().unwrap_or_else(PoisonError::into_inner).insert(id, account);
        keys
    }

    /// Keys of the account that is there from the start; its test key begins with `sk_test_bursar_demo_`.
    pub fn default_account(&self) -> AccountKeys {
        let accounts = self.inner.accounts.read().unwrap_or_else(PoisonError::into_inner);
        match accounts.get(&self.inner.default_account) {
            Some(account) => account.keys.clone(),
            // The default account is put in before anybody can ask and never taken out.
            None => unreachable!("the default account is always there"),
        }
    }

    /// Adds a restricted key with permissions such as `rak_charge_read`.
    pub fn restricted_key(
        &self,
        account: &str,
        livemode: bool,
        permissions: &[&str],
    ) -> Result<Secret, SimulatorError> {
        self.side(account, livemode)?;
        let secret = Secret::from(self.inner.ids.letters(if livemode { "rk_live_" } else { "rk_test_" }, 24));
        let kind = KeyKind::Restricted(permissions.iter().map(|permission| (*permission).to_owned()).collect());
        self.keys_mut().put(&secret, Key { account: account.into(), livemode, kind, revoked: false });
        Ok(secret)
    }

    /// Revokes a key; false if the simulator does not know it.
    pub fn revoke_key(&self, key: &Secret) -> bool {
        self.keys_mut().set_revoked(key.expose_secret(), true)
    }

    /// Lets a revoked key work again; false if the simulator does not know it.
    pub fn restore_key(&self, key: &Secret) -> bool {
        self.keys_mut().set_revoked(key.expose_secret(), false)
    }

    /// Revokes or restores all keys of an account in one mode; answers how many there are.
    pub fn set_keys_revoked(&self, account: &str, livemode: bool, revoked: bool) -> usize {
        self.keys_mut().set_all_revoked(account, livemode, revoked)
    }

    /// Forgets all idempotency keys of an account in one mode, as Stripe may after 24 hours: a repeated call runs again.
    ///
    /// # Errors
    /// [`SimulatorError::NoAccount`].
    pub fn forget_idempotency_keys(&self, account: &str, livemode: bool) -> Result<usize, SimulatorError> {
        Ok(self.side(account, livemode)?.remembered().forget_all())
    }

    /// Makes a believable business in the account's test data (or live data), up to the present simulated second.
    pub fn generate(&self, account: &str, business: &Business) -> Result<Summary, SimulatorError> {
        let side = self.side(account, business.livemode)?;
        let now = self.now();
        let mut book = side.write();
        Ok(generate::fill(&mut book, business, now))
    }

    /// Puts the sample objects of Stripe's fixtures file into an account's test data.
    pub fn load_fixtures(&self, account: &str, json: &str) -> Result<Loaded, SimulatorError> {
        let side = self.side(account, false)?;
        let now = self.now();
        let mut book = side.write();
        crate::fixtures::load(&mut book, json, now)
    }

    /// The account's books: what a reader's totals must come to.
    pub fn totals(&self, account: &str, livemode: bool) -> Result<Totals, SimulatorError> {
        Ok(self.side(account, livemode)?.read().totals.clone())
    }

    /// How many objects of each type an account holds.
    pub fn counts(&self, account: &str, livemode: bool) -> Result<BTreeMap<String, usize>, SimulatorError> {
        Ok(self.side(account, livemode)?.read().counts().map(|(object, count)| (object.to_owned(), count)).collect())
    }

    /// Every object of one type that an account holds, as JSON, the oldest first: what a copy must be held against.
    /// `object` is Stripe's word, as `charge` or `event`; none for a word that is not simulated.
    pub fn objects(&self, account: &str, livemode: bool, object: &str) -> Result<Vec<String>, SimulatorError> {
        let side = self.side(account, livemode)?;
        let Some(kind) = Kind::of(object) else { return Ok(Vec::new()) };
        Ok(side.read().table(kind).all().map(|text| text.to_string()).collect())
    }

    /// Calls, refusals and deliveries so far, and objects of all accounts.
    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.counters.read();
        stats.webhooks = self.inner.deliveries.counts();
        stats.cli = self.inner.cli_counts.read();
        stats.faults_waiting = lock(&self.inner.faults).waiting();
        for side in self.sides() {
            for (object, count) in side.read().counts() {
                *stats.objects.entry(object.to_owned()).or_default() += count;
            }
        }
        stats
    }

    /// What became of the last hundred tries to deliver an event, newest first.
    pub fn deliveries(&self) -> Vec<DeliveryTold> {
        self.inner.deliveries.told()
    }

    /// Ends every fault: scripted ones and the plan are cleared, all keys work, all endpoints are enabled. What was lost
    /// meanwhile stays lost.
    pub fn heal(&self) {
        self.faults().clear_all();
        for side in self.sides() {
            self.set_keys_revoked(&side.account, side.livemode, false);
            set_status(&side, None, true);
        }
    }

    pub(crate) fn fault_book(&self) -> MutexGuard<'_, FaultBook> {
        lock(&self.inner.faults)
    }

    /// Stripe takes a fee that belongs to no payment; answers the id of its balance transaction.
    pub fn take_fee(
        &self,
        account: &str,
        livemode: bool,
        amount_minor: u32,
        currency: &str,
    ) -> Result<String, SimulatorError> {
        self.move_money(account, livemode, Movement::StripeFee, -i64::from(amount_minor), currency)
    }

    /// Stripe corrects the balance, either way; answers the id of the balance transaction.
    pub fn adjust_balance(
        &self,
        account: &str,
        livemode: bool,
        amount_minor: i32,
        currency: &str,
    ) -> Result<String, SimulatorError> {
        self.move_money(account, livemode, Movement::Adjustment, i64::from(amount_minor), currency)
    }

    fn move_money(
        &self,
        account: &str,
        livemode: bool,
        movement: Movement,
        amount_minor: i64,
        currency: &str,
    ) -> Result<String, SimulatorError> {
        let side = self.side(account, livemode)?;
        let settled = money::settled_currencies().find(|settled| *settled == currency);
        let currency = settled.ok_or_else(|| SimulatorError::Refused(format!("no money settles in {currency}")))?;
        let what = if movement == Movement::StripeFee { "Billing - Usage Fee" } else { "Balance adjustment" };
        Ok(self.work(&side, None, |work| balance_transaction::adjust(work, movement, amount_minor, currency, what)))
    }

    /// The bank sends a payout back, with a code such as `account_closed`.
    pub fn fail_payout(&self, account: &str, livemode: bool, payout: &str, code: &str) -> Result<(), SimulatorError> {
        let side = self.side(account, livemode)?;
        let failed = self.work(&side, None, |work| payout::fail(work, payout, code).map(|_| ()));
        failed.map_err(|refusal| SimulatorError::Refused(refusal.message))
    }

    /// The present second of simulated time.
    pub fn now(&self) -> i64 {
        self.inner.options.clock.now().seconds() + self.inner.ahead.load(Ordering::Relaxed)
    }

    pub(crate) fn simulated_micros(&self) -> i64 {
        let ahead = self.inner.ahead.load(Ordering::Relaxed);
        self.inner.options.clock.now().micros().saturating_add(ahead.saturating_mul(1_000_000))
    }

    /// Moves simulated time and does everything that falls due on the way: renewals, payouts, money becoming available.
    pub fn advance(&self, by: Duration) -> Result<i64, SimulatorError> {
        let asked = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        if asked > ADVANCE_MAX_SECONDS {
            return Err(SimulatorError::TooFar { asked, max: ADVANCE_MAX_SECONDS });
        }
        self.inner.ahead.fetch_add(asked, Ordering::Relaxed);
        for side in self.sides() {
            self.pass_time(&side);
        }
        self.wake_sender();
        Ok(self.now())
    }

    /// Does what has fallen due in one account. Nothing happens by itself: time passes when it is moved, and while
    /// there is traffic, so that a test's business stands still between two looks.
    pub(crate) fn pass_time(&self, side: &Arc<Side>) {
        let until = self.now();
        self.work(side, None, |work| {
            loop {
                let midnight = midnight(work.book.paid_out_until) + DAY;
                let payout_is_next = midnight <= until && work.book.due.first().is_none_or(|(at, _)| midnight <= *at);
                if payout_is_next {
                    work.now = midnight;
                    work.present = midnight;
                    work.book.paid_out_until = midnight;
                    if work.book.weekly_payouts && weekday(midnight) != 0 {
                        continue;
                    }
                    for payout in payout::sweep(work.book, work.ids, midnight, midnight) {
                        work.emit("payout.created", &payout);
                    }
                    continue;
                }
                let Some((at, due)) = work.book.next_due(until) else { break };
                work.now = at;
                work.present = at;
                passing::happen(work, due);
            }
        });
    }

    /// Runs a verb on one account's book and hands its deliveries on.
    pub(crate) fn work<T>(&self, side: &Arc<Side>, cause: Option<Cause>, run: impl FnOnce(&mut Work<'_>) -> T) -> T {
        let mut book = side.write();
        let now = self.now();
        let mut work = Work {
            book: &mut book,
            ids: self.inner.ids.at(now),
            now,
            present: now,
            clock: None,
            cause,
            deliveries: Vec::new(),
        };
        let outcome = run(&mut work);
        let deliveries = std::mem::take(&mut work.deliveries);
        drop(book);
        if !deliveries.is_empty() {
            self.enqueue(side, deliveries);
        }
        outcome
    }

    pub(crate) fn keys_mut(&self) -> RwLockWriteGuard<'_, Keys> {
        self.inner.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.inner.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the keys of one account may work on the books of another: its own only, until accounts can be connected.
    pub(crate) fn may_act(&self, own: &str, other: &str) -> bool {
        own == other
    }

    /// One account in one mode.
    pub(crate) fn side(&self, account: &str, livemode: bool) -> Result<Arc<Side>, SimulatorError> {
        let accounts = self.inner.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(account).ok_or_else(|| SimulatorError::NoAccount(account.to_owned()))?;
        Ok(if livemode { account.live.clone() } else { account.test.clone() })
    }

    /// All accounts in both modes.
    pub(crate) fn sides(&self) -> Vec<Arc<Side>> {
        let accounts = self.inner.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.values().flat_map(|account| [account.test.clone(), account.live.clone()]).collect()
    }
}
