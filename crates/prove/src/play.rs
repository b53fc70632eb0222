//! Plays a step. What a business does is awaited; what Bursar is asked to do runs beside the steps that follow, as
//! people's requests do.

use crate::{
    ProveError, faults,
    shop::MARK,
    step::{Action, CARDS, CURRENCIES, Step},
    world::World,
    writes::{self, Write},
};
use gateway::{NewConnectionRequest, WebhookChoice};
use inbox::ReplayFilter;
use kit::ExposeSecret;
use mirror::SyncKind;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use vault::ConnectionId;

/// How long a smooth jump waits for running jobs to end.
const SMOOTH_WAIT_MS: u64 = 1_500;

/// Plays one step; checkpoints are the caller's.
pub(crate) async fn play(world: &mut World, step: &Step) -> Result<(), ProveError> {
    world.tick(Duration::from_millis(step.after_ms));
    match &step.action {
        Action::Customer { account } => customer(world, *account).await,
        Action::Pay { account, pick, amount_minor, currency, card, manual } => {
            let payment =
                Payment { pick: *pick, amount_minor: *amount_minor, currency: *currency, card: *card, manual: *manual };
            pay(world, *account, payment).await
        }
        Action::Capture { account, pick, percent } => capture(world, *account, *pick, *percent).await,
        Action::Refund { account, pick, percent } => refund(world, *account, *pick, *percent).await,
        Action::Dispute { account, pick } => {
            let shop = &mut world.accounts[*account].shop;
            let Some(charge) = shop.charges.pick(*pick) else { return Ok(()) };
            if let Some(dispute) = shop.bank(json!({ "charge": charge })).await? {
                shop.disputes.put(id_of(&dispute));
            }
            Ok(())
        }
        Action::Decide { account, pick, won } => {
            let shop = &mut world.accounts[*account].shop;
            let Some(dispute) = shop.disputes.take(*pick) else { return Ok(()) };
            shop.bank(json!({ "dispute": dispute, "won": won })).await.map(drop)
        }
        Action::Subscribe { account, pick, price } => subscribe(world, *account, *pick, *price).await,
        Action::Resubscribe { account, pick, quantity } => resubscribe(world, *account, *pick, *quantity).await,
        Action::Invoice { account, pick, amount_minor, fate } => {
            invoice(world, *account, *pick, *amount_minor, *fate).await
        }
        Action::Edit { account, kind, pick, word } => edit(world, *account, *kind, *pick, *word).await,
        Action::Delete { account, kind, pick } => delete(world, *account, *kind, *pick).await,
        Action::Payout { account, currency, amount_minor } => {
            let form = format!("amount={amount_minor}&currency={}", CURRENCIES[currency % 4]);
            world.accounts[*account].shop.call("POST", "/v1/payouts", &form).await.map(drop)
        }
        Action::Jump { seconds, rough } => jump(world, *seconds, *rough).await,
        Action::CallFault { call, fault, times } => {
            // Too many may be set already: then this one is left out.
            let _ = world.simulator.faults().set(faults::for_calls(*call, *fault, *times));
            Ok(())
        }
        Action::WebhookFault { fault, times } => {
            let _ = world.simulator.faults().set(faults::for_webhooks(*fault, *times));
            Ok(())
        }
        Action::Endpoint { account, enabled } => endpoints(world, *account, *enabled).await,
        Action::Revoke { account } => {
            let key = world.accounts[*account].link().key.clone();
            if let Some(key) = key {
                world.simulator.revoke_key(&key);
            }
            Ok(())
        }
        Action::ReplaceKey { account } => replace_key(world, step, *account),
        Action::Sync { account, full } => sync(world, step, *account, *full),
        Action::Test { account } => test(world, step, *account),
        Action::Disconnect { account, erase } => disconnect(world, step, *account, *erase),
        Action::Connect { account } => connect(world, step, *account),
        Action::Replay { minutes } => replay(world, step, *minutes),
        Action::Write { account } => write(world, step, *account).await,
        Action::Rotate => rotate(world, step).await,
        Action::Kill { node } => world.kill(*node).await,
        Action::Restart { node } => world.restart(*node).await,
        Action::Checkpoint => Ok(()),
    }
}

fn id_of(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_default()
}

async fn customer(world: &mut World, account: usize) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let made = shop.call("POST", "/v1/customers", "name=Ada&email=ada%40customer.example").await?;
    let id = id_of(&made.body).to_owned();
    // Faults are for these calls too; what was made without an answer is found when everything is compared.
    if made.status != 200 || id.is_empty() {
        return Ok(());
    }
    // Every third pays by itself later; the others have no card.
    if id.bytes().last().is_some_and(|letter| letter.is_multiple_of(3)) {
        let card = shop.call("POST", "/v1/payment_methods/pm_card_visa/attach", &format!("customer={id}")).await?;
        let form = format!("invoice_settings[default_payment_method]={}", id_of(&card.body));
        shop.call("POST", &format!("/v1/customers/{id}"), &form).await?;
    }
    shop.customers.put(&id);
    Ok(())
}

/// A payment as a step tells it.
struct Payment {
    pick: u64,
    amount_minor: u64,
    currency: usize,
    card: usize,
    manual: bool,
}

async fn pay(world: &mut World, account: usize, payment: Payment) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let (currency, card) = (CURRENCIES[payment.currency % CURRENCIES.len()], CARDS[payment.card % CARDS.len()]);
    let by = (payment.pick % 2 == 1).then(|| shop.customers.pick(payment.pick / 2)).flatten();
    let by = by.map(|id| format!("&customer={id}")).unwrap_or_default();
    let how = if payment.manual { "&capture_method=manual" } else { "" };
    let form = format!(
        "amount={}&currency={currency}&payment_method={card}&confirm=true&metadata[{MARK}]=1{by}{how}",
        payment.amount_minor
    );
    let paid = shop.call("POST", "/v1/payment_intents", &form).await?;
    match (paid.status, paid.body["status"].as_str()) {
        (200, Some("succeeded")) => {
            let asked = shop.asked(currency);
            asked.charges += 1;
            asked.charged_minor += paid.body["amount_received"].as_i64().unwrap_or_default();
            let charge = paid.body["latest_charge"].as_str().unwrap_or_default().to_owned();
            shop.charges.put(&charge);
            if card == "pm_card_createDispute" {
                let found = shop.call("GET", &format!("/v1/disputes?charge={charge}"), "").await?;
                shop.disputes.put(id_of(&found.body["data"][0]));
            }
        }
        (200, Some("requires_capture")) => shop.reserved.put(id_of(&paid.body)),
        _ => {}
    }
    Ok(())
}

async fn capture(world: &mut World, account: usize, pick: u64, percent: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let Some(intent) = shop.reserved.take(pick) else { return Ok(()) };
    let read = shop.call("GET", &format!("/v1/payment_intents/{intent}"), "").await?;
    let amount = read.body["amount"].as_u64().unwrap_or_default() * percent / 100;
    let form = format!("amount_to_capture={}", amount.max(1));
    let done = shop.call("POST", &format!("/v1/payment_intents/{intent}/capture"), &form).await?;
    if done.status == 200 && done.body["status"] == "succeeded" {
        let currency = done.body["currency"].as_str().unwrap_or_default().to_owned();
        let asked = shop.asked(&currency);
        asked.charges += 1;
        asked.charged_minor += done.body["amount_received"].as_i64().unwrap_or_default();
        shop.charges.put(done.body["latest_charge"].as_str().unwrap_or_default());
    }
    Ok(())
}

async fn refund(world: &mut World, account: usize, pick: u64, percent: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let Some(charge) = shop.charges.pick(pick) else { return Ok(()) };
    let read = shop.call("GET", &format!("/v1/charges/{charge}"), "").await?;
    let refunded = read.body["amount_refunded"].as_u64().unwrap_or_default();
    let left = read.body["amount_captured"].as_u64().unwrap_or_default().saturating_sub(refunded);
    let amount = (left * percent / 100).max(1);
    let form = format!("charge={charge}&amount={amount}&metadata[{MARK}]=1");
    let done = shop.call("POST", "/v1/refunds", &form).await?;
    if done.status == 200 && done.body["balance_transaction"].is_string() {
        let currency = done.body["currency"].as_str().unwrap_or_default().to_owned();
        let asked = shop.asked(&currency);
        asked.refunds += 1;
        asked.refunded_minor += done.body["amount"].as_i64().unwrap_or_default();
    }
    Ok(())
}

async fn subscribe(world: &mut World, account: usize, pick: u64, price: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let (Some(customer), Some(price)) = (shop.customers.pick(pick), shop.prices.pick(price)) else { return Ok(()) };
    let form = format!("customer={customer}&items[0][price]={price}&items[0][quantity]={}", 1 + pick % 3);
    let made = shop.call("POST", "/v1/subscriptions", &form).await?;
    if made.status == 200 {
        shop.subscriptions.put(id_of(&made.body));
    }
    Ok(())
}

async fn resubscribe(world: &mut World, account: usize, pick: u64, quantity: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    if quantity == 0 {
        let Some(id) = shop.subscriptions.take(pick) else { return Ok(()) };
        return shop.call("DELETE", &format!("/v1/subscriptions/{id}"), "").await.map(drop);
    }
    let Some(id) = shop.subscriptions.pick(pick) else { return Ok(()) };
    let read = shop.call("GET", &format!("/v1/subscriptions/{id}"), "").await?;
    let item = id_of(&read.body["items"]["data"][0]).to_owned();
    let form = format!("items[0][id]={item}&items[0][quantity]={quantity}&proration_behavior=none");
    shop.call("POST", &format!("/v1/subscriptions/{id}"), &form).await.map(drop)
}

async fn invoice(world: &mut World, account: usize, pick: u64, amount: u64, fate: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let Some(customer) = shop.customers.pick(pick) else { return Ok(()) };
    let form = format!("customer={customer}&currency=usd&auto_advance=false");
    let made = shop.call("POST", "/v1/invoices", &form).await?;
    let id = id_of(&made.body).to_owned();
    if made.status != 200 {
        return Ok(());
    }
    let item = format!("customer={customer}&invoice={id}&amount={amount}&currency=usd");
    shop.call("POST", "/v1/invoiceitems", &item).await?;
    let path = format!("/v1/invoices/{id}");
    match fate {
        0..=2 => {
            shop.call("POST", &format!("{path}/finalize"), "").await?;
            match fate {
                0 => drop(shop.call("POST", &format!("{path}/pay"), "payment_method=pm_card_visa").await?),
                2 => drop(shop.call("POST", &format!("{path}/void"), "").await?),
                _ => {}
            }
        }
        4 => drop(shop.call("DELETE", &path, "").await?),
        _ => {}
    }
    Ok(())
}

async fn edit(world: &mut World, account: usize, kind: u64, pick: u64, word: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    let (pool, path, field) = match kind % 5 {
        0 => (&shop.customers, "customers", "description"),
        1 => (&shop.charges, "charges", "description"),
        2 => (&shop.products, "products", "description"),
        3 => (&shop.prices, "prices", "nickname"),
        _ => (&shop.subscriptions, "subscriptions", "description"),
    };
    let Some(id) = pool.pick(pick) else { return Ok(()) };
    let form = if word.is_multiple_of(2) { format!("{field}=word{word}") } else { format!("metadata[word]={word}") };
    shop.call("POST", &format!("/v1/{path}/{id}"), &form).await.map(drop)
}

async fn delete(world: &mut World, account: usize, kind: u64, pick: u64) -> Result<(), ProveError> {
    let shop = &mut world.accounts[account].shop;
    if kind == 0 {
        let Some(id) = shop.customers.take(pick) else { return Ok(()) };
        return shop.call("DELETE", &format!("/v1/customers/{id}"), "").await.map(drop);
    }
    // One that comes and goes, so that there are always some.
    let made = shop.call("POST", "/v1/products", &format!("name=Leaflet%20{}", pick % 1_000)).await?;
    shop.products.put(id_of(&made.body));
    let Some(id) = shop.products.take(pick) else { return Ok(()) };
    shop.call("DELETE", &format!("/v1/products/{id}"), "").await.map(drop)
}

async fn jump(world: &mut World, seconds: u64, rough: bool) -> Result<(), ProveError> {
    if !rough {
        let waited = kit::Stopwatch::start();
        while waited.elapsed_ms() < SMOOTH_WAIT_MS {
            let mut tx = world.parts()?.base.store.read_system().await?;
            let jobs = platform::job::counts(&mut tx).await?;
            drop(tx);
            if jobs.running == 0 {
                break;
            }
            kit::clock::pause(Duration::from_millis(3)).await;
        }
    }
    // Stripe forgets events after 30 days: after such a silence everything is listed anew.
    world.pass(Duration::from_secs(seconds))?;
    if seconds > 20 * 86_400 {
        world.long_jump_at = Some(world.now());
    }
    Ok(())
}

/// Enables or disables the endpoints of an account, as its owner may.
pub(crate) async fn endpoints(world: &World, account: usize, enabled: bool) -> Result<(), ProveError> {
    let shop = &world.accounts[account].shop;
    let list = shop.call("GET", "/v1/webhook_endpoints?limit=100", "").await?;
    for endpoint in list.body["data"].as_array().into_iter().flatten() {
        let path = format!("/v1/webhook_endpoints/{}", id_of(endpoint));
        shop.call("POST", &path, &format!("disabled={}", !enabled)).await?;
    }
    Ok(())
}

/// Marks the account as busy while something runs beside the steps; free again when it ends, however it does.
struct Busy(Arc<std::sync::Mutex<crate::world::Link>>);

impl Busy {
    fn link(&self) -> std::sync::MutexGuard<'_, crate::world::Link> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.link().busy = false;
    }
}

/// The account's connection, taken for an operation of its own; none while it has none or another runs.
fn take(world: &World, account: usize) -> Option<(ConnectionId, Busy)> {
    let busy = take_link(world, account)?;
    let connection = busy.link().connection.clone()?;
    Some((connection, busy))
}

fn take_link(world: &World, account: usize) -> Option<Busy> {
    let account = &world.accounts[account];
    let mut link = account.link();
    if std::mem::replace(&mut link.busy, true) {
        return None;
    }
    drop(link);
    Some(Busy(account.link.clone()))
}

fn connect(world: &World, step: &Step, account: usize) -> Result<(), ProveError> {
    let Some(busy) = take_link(world, account) else { return Ok(()) };
    if busy.link().connection.is_some() {
        return Ok(());
    }
    let key = world.new_key(account)?;
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant, environment) =
        (node.parts.clone(), world.accounts[account].tenant, world.accounts[account].environment);
    node.begin(async move {
        let request = NewConnectionRequest {
            api_key: key.clone(),
            lookback_days: None,
            display_name: None,
            webhook: WebhookChoice::Auto,
        };
        match parts.gateway.connect(tenant, environment, request).await {
            Ok(made) => {
                let mut link = busy.link();
                (link.connection, link.key) = (Some(made.id), Some(key));
            }
            Err(error) => tracing::debug!(%error, "an account was not connected"),
        }
    });
    Ok(())
}

fn replace_key(world: &World, step: &Step, account: usize) -> Result<(), ProveError> {
    let Some((connection, busy)) = take(world, account) else { return Ok(()) };
    let key = world.new_key(account)?;
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant) = (node.parts.clone(), world.accounts[account].tenant);
    node.begin(async move {
        match parts.gateway.replace_key(tenant, &connection, &key).await {
            Ok(_) => busy.link().key = Some(key),
            Err(error) => tracing::debug!(%error, "a key was not replaced"),
        }
    });
    Ok(())
}

fn test(world: &World, step: &Step, account: usize) -> Result<(), ProveError> {
    let Some((connection, busy)) = take(world, account) else { return Ok(()) };
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant) = (node.parts.clone(), world.accounts[account].tenant);
    node.begin(async move {
        // Its refusal is what is wanted now and then.
        let _ = parts.gateway.test_connection(tenant, &connection).await;
        drop(busy);
    });
    Ok(())
}

fn disconnect(world: &World, step: &Step, account: usize, erase: bool) -> Result<(), ProveError> {
    let Some((connection, busy)) = take(world, account) else { return Ok(()) };
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant) = (node.parts.clone(), world.accounts[account].tenant);
    node.begin(async move {
        match parts.gateway.disconnect(tenant, &connection, erase).await {
            Ok(_) => {
                let mut link = busy.link();
                (link.connection, link.key) = (None, None);
            }
            Err(error) => tracing::debug!(%error, "an account was not disconnected"),
        }
    });
    Ok(())
}

fn sync(world: &World, step: &Step, account: usize, full: bool) -> Result<(), ProveError> {
    let Some(connection) = world.accounts[account].link().connection.clone() else { return Ok(()) };
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant) = (node.parts.clone(), world.accounts[account].tenant);
    let kind = if full { SyncKind::Full } else { SyncKind::Incremental };
    node.begin(async move {
        if let Ok(mut tx) = parts.base.store.begin(tenant).await
            && parts.mirror.request_sync(&mut tx, &connection, kind, "person").await.is_ok()
        {
            let _ = tx.commit().await;
        }
    });
    Ok(())
}

fn replay(world: &World, step: &Step, minutes: u64) -> Result<(), ProveError> {
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant) = (node.parts.clone(), world.tenants()[0]);
    let filter =
        ReplayFilter { from: Some(world.now() - Duration::from_secs(minutes * 60)), ..ReplayFilter::default() };
    node.begin(async move {
        let _ = parts.inbox.replay(tenant, filter).await;
    });
    Ok(())
}

async fn write(world: &mut World, step: &Step, account: usize) -> Result<(), ProveError> {
    let Some(connection) = world.accounts[account].link().connection.clone() else { return Ok(()) };
    let node = world.node_at(u64::from(step.number))?;
    let (parts, tenant, tag) = (node.parts.clone(), world.accounts[account].tenant, format!("w{}", step.number));
    let asked = {
        let tag = tag.clone();
        node.run(async move { writes::ask(&parts, tenant, connection, &tag).await }).await
    };
    // One that was refused was not asked for: its transaction was rolled back.
    if let Some(Ok(intent)) = asked {
        world.writes.push(Write { tag, tenant, intent, account });
    }
    Ok(())
}

async fn rotate(world: &mut World, step: &Step) -> Result<(), ProveError> {
    world.new_vault_key().await?;
    let node = world.node_at(u64::from(step.number))?;
    let parts = node.parts.clone();
    node.begin(async move {
        if let Err(error) = parts.vault.rotate(|_| {}).await {
            tracing::debug!(%error, "a rotation ended early");
        }
    });
    Ok(())
}

/// Brings everything back to work that steps have broken: endpoints, keys, connections. Faults are off already.
pub(crate) async fn mend(world: &mut World) -> Result<(), ProveError> {
    for account in 0..world.accounts.len() {
        endpoints(world, account, true).await?;
        let (connection, key) = {
            let link = world.accounts[account].link();
            (link.connection.clone(), link.key.clone())
        };
        let parts = world.parts()?.clone();
        let (tenant, environment) = (world.accounts[account].tenant, world.accounts[account].environment);
        let fresh = world.new_key(account)?;
        let given = match &connection {
            Some(connection) => {
                let works = parts.gateway.test_connection(tenant, connection).await.is_ok();
                if works && key.is_some() {
                    continue;
                }
                parts.gateway.replace_key(tenant, connection, &fresh).await
            }
            None => {
                let request = NewConnectionRequest {
                    api_key: fresh.clone(),
                    lookback_days: None,
                    display_name: None,
                    webhook: WebhookChoice::Auto,
                };
                parts.gateway.connect(tenant, environment, request).await
            }
        };
        let made = given.map_err(ProveError::look("a connection that works"))?;
        debug_assert!(!fresh.expose_secret().is_empty());
        let mut link = world.accounts[account].link();
        (link.connection, link.key) = (Some(made.id), Some(fresh));
    }
    Ok(())
}
