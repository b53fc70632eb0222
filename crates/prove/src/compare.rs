//! Holds Bursar against the model, once everything is at rest, and names every difference.

use crate::{
    ProveError,
    model::{self, Days, Held, KINDS},
    world::World,
};
use gateway::IntentState;
use kit::{ExposeSecret, PageRequest};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Differences of one comparison that are named; the others are counted.
const NAMED_MOST: usize = 60;
/// Rows of one page.
const PAGE: u32 = 200;

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Objects, days, events, intents and secrets that were held against the model.
    pub(crate) compared: u64,
    pub(crate) count: u64,
    pub(crate) named: Vec<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, text: String) {
        self.count += 1;
        if self.named.len() < NAMED_MOST {
            self.named.push(text);
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: impl FnOnce() -> String, ours: T, theirs: T) {
        self.compared += 1;
        if ours != theirs {
            self.add(format!("{}: Bursar has {ours:?}, the model {theirs:?}", what()));
        }
    }
}

/// What the model is told wrongly, to prove that it would be noticed. For tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Refunds count half.
    HalfRefunds,
}

/// Compares everything. Bursar must be at rest.
pub(crate) async fn compare(world: &mut World, lie: Option<Lie>) -> Result<Findings, ProveError> {
    let mut findings = Findings::default();
    let mut held = Vec::new();
    for account in &world.accounts {
        held.push(Held::read(&account.shop).await?);
    }
    compare_asked(world, &held, &mut findings);
    objects(world, &held, &mut findings).await?;
    days(world, &held, lie, &mut findings).await?;
    books(world, &held, &mut findings)?;
    proofs(world, &mut findings).await?;
    events(world, &mut findings).await?;
    intents(world, &held, &mut findings).await?;
    secrets(world, &mut findings).await?;
    world.events_since = world.now().seconds() - 1;
    world.long_jump_at = None;
    Ok(findings)
}

/// The simulator itself: what steps were answered is there, once.
fn compare_asked(world: &World, held: &[Held], findings: &mut Findings) {
    for (account, held) in world.accounts.iter().zip(held) {
        for (currency, asked) in &account.shop.asked {
            let found = held.asked.get(*currency).copied().unwrap_or_default();
            findings.same(
                || format!("{} {currency}: payments that steps made, at the simulator", account.shop.account),
                found,
                *asked,
            );
        }
    }
}

async fn objects(world: &World, held: &[Held], findings: &mut Findings) -> Result<(), ProveError> {
    let mirror = world.parts()?.mirror.clone();
    for tenant in world.tenants() {
        for (kind, _) in KINDS {
            let mut unseen: Vec<HashMap<&str, u64>> = Vec::new();
            for (account, held) in world.accounts.iter().zip(held) {
                let objects = held.objects.get(kind).filter(|_| account.tenant == tenant);
                unseen.push(objects.into_iter().flatten().map(|(id, print)| (id.as_str(), *print)).collect());
            }
            let mut request = PageRequest { limit: Some(PAGE), cursor: None };
            loop {
                let page =
                    mirror.objects(tenant, kind, &request).await.map_err(ProveError::look("mirrored objects"))?;
                for row in &page.data {
                    findings.compared += 1;
                    let place =
                        world.accounts.iter().position(|it| it.tenant == tenant && it.shop.account == row.account_id);
                    let Some(place) = place else {
                        findings.add(format!("{kind} {}: of an account that nobody connected", row.id));
                        continue;
                    };
                    if row.contested {
                        findings.add(format!("{kind} {}: is contested although everything is at rest", row.id));
                    }
                    match unseen[place].remove(row.id.as_str()) {
                        Some(_) if row.deleted => {
                            findings.add(format!("{kind} {}: gone for Bursar, and there at Stripe", row.id))
                        }
                        Some(print) if print == model::print_of(kind, &row.body) => {}
                        Some(_) => differs(world, place, kind, &row.id, &row.body, findings).await?,
                        None if row.deleted || held[place].silent.contains(&row.id) => {}
                        None => findings.add(format!("{kind} {}: there for Bursar, and gone at Stripe", row.id)),
                    }
                }
                if page.next_cursor.is_none() {
                    break;
                }
                request.cursor = page.next_cursor;
            }
            for (account, unseen) in world.accounts.iter().zip(&unseen) {
                for id in unseen.keys() {
                    findings.add(format!("{kind} {id} of {}: missing", account.shop.account));
                }
            }
        }
    }
    Ok(())
}

/// Two texts differ; perhaps they mean the same.
async fn differs(
    world: &World,
    place: usize,
    kind: &str,
    id: &str,
    ours: &str,
    findings: &mut Findings,
) -> Result<(), ProveError> {
    let (_, theirs) = world.accounts[place].shop.raw("GET", &model::path_of(kind, id), "").await?;
    let theirs = String::from_utf8_lossy(&theirs).into_owned();
    let (ours, theirs) = (model::meaning_of(kind, ours), model::meaning_of(kind, &theirs));
    if ours == theirs {
        return Ok(());
    }
    let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
    let names: Vec<&String> = ours.as_object().into_iter().chain(theirs.as_object()).flat_map(|it| it.keys()).collect();
    let mut told: Vec<String> = Vec::new();
    for name in names {
        if ours[name] != theirs[name] {
            let line = format!("{name}: {} instead of {}", short(&ours[name]), short(&theirs[name]));
            if !told.contains(&line) {
                told.push(line);
            }
        }
    }
    findings.add(format!("{kind} {id}: {}", told.join("; ")));
    Ok(())
}

fn short(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

async fn days(world: &World, held: &[Held], lie: Option<Lie>, findings: &mut Findings) -> Result<(), ProveError> {
    let revenue = &world.parts()?.revenue;
    for tenant in world.tenants() {
        let mut model = Days::new();
        for (account, held) in world.accounts.iter().zip(held) {
            if account.tenant == tenant {
                model::add_days(&mut model, &held.days);
            }
        }
        if lie == Some(Lie::HalfRefunds) {
            model.values_mut().for_each(|day| day.refunds_minor /= 2);
        }
        let last = world.now().utc_day();
        let ours = revenue.series(tenant, last - 3_000, last).await.map_err(ProveError::look("daily figures"))?;
        let mut bursar = Days::new();
        for figure in ours {
            let day = model::Day {
                gross_minor: figure.gross_minor,
                refunds_minor: figure.refunds_minor,
                disputes_minor: figure.disputes_minor,
                fees_minor: figure.fees_minor,
                charges: figure.charges,
                refunds: figure.refunds,
            };
            let currency = figure.currency.code().to_ascii_lowercase();
            findings.same(|| format!("{} {currency}: net", figure.date()), figure.net_minor(), day.net_minor());
            bursar.insert((figure.day, currency), day);
        }
        let mut all: Vec<&(i64, String)> = model.keys().chain(bursar.keys()).collect();
        all.sort();
        all.dedup();
        for key in all {
            let (ours, theirs) =
                (bursar.get(key).copied().unwrap_or_default(), model.get(key).copied().unwrap_or_default());
            findings.same(|| format!("{} {}", revenue::daily::date_of(key.0), key.1), ours, theirs);
        }
    }
    Ok(())
}

/// The model against the simulator's own books: two ways of adding up the same.
fn books(world: &World, held: &[Held], findings: &mut Findings) -> Result<(), ProveError> {
    for (account, held) in world.accounts.iter().zip(held) {
        let totals = world.simulator.totals(&account.shop.account, account.shop.livemode);
        let totals = totals.map_err(ProveError::look("the simulator's books"))?;
        let sum = |currency: &str, part: fn(&model::Day) -> i64| -> i64 {
            held.days.iter().filter(|((_, of), _)| of == currency).map(|(_, day)| part(day)).sum()
        };
        for (currency, presented) in &totals.presented {
            let found = (sum(currency, |day| day.gross_minor), sum(currency, |day| day.refunds_minor));
            findings.same(
                || format!("{currency}: what the model adds up, and the simulator's books"),
                found,
                (presented.charged, presented.refunded),
            );
        }
        for (currency, settled) in &totals.settled {
            findings.same(
                || format!("{currency}: fees in the model and in the simulator's books"),
                sum(currency, |day| day.fees_minor),
                settled.fees,
            );
        }
    }
    Ok(())
}

async fn proofs(world: &World, findings: &mut Findings) -> Result<(), ProveError> {
    for tenant in world.tenants() {
        let proof = world.parts()?.revenue.tie_out(tenant).await.map_err(ProveError::look("the tie-out"))?;
        findings.compared += 1;
        if !proof.agrees() {
            findings.add(format!(
                "the tie-out has {} differences: {:?}",
                proof.difference_count,
                proof.differences.iter().take(5).collect::<Vec<_>>()
            ));
        }
        findings.same(|| "what the tie-out still awaits".to_owned(), proof.awaited, 0);
    }
    Ok(())
}

/// Every event since the last comparison is in the inbox and has had its effect.
async fn events(world: &World, findings: &mut Findings) -> Result<(), ProveError> {
    let parts = world.parts()?;
    let mut processed: HashSet<String> = HashSet::new();
    for tenant in world.tenants() {
        let counts = parts.inbox.counts(tenant).await.map_err(ProveError::look("the inbox"))?;
        findings.same(|| "events given up".to_owned(), counts.dead, 0);
        let mut request = PageRequest { limit: Some(PAGE), cursor: None };
        'pages: loop {
            let page = parts.inbox.list(tenant, &inbox::EventFilter::default(), &request).await;
            let page = page.map_err(ProveError::look("the inbox"))?;
            for event in &page.data {
                // Received in order of arrival, the newest first: what came before the period tells nothing of it.
                if event.received_at.seconds() < world.events_since {
                    break 'pages;
                }
                if event.state == inbox::State::Processed {
                    processed.insert(event.event_id.clone());
                }
            }
            if page.next_cursor.is_none() {
                break;
            }
            request.cursor = page.next_cursor;
        }
    }
    for account in &world.accounts {
        let Some(id) = account.link().connection.clone() else { continue };
        // What happened before a listing of everything began is told by the listing, not by events.
        let request = PageRequest { limit: Some(PAGE), cursor: None };
        let syncs =
            parts.mirror.sync_jobs(account.tenant, &id, &request).await.map_err(ProveError::look("syncs"))?.data;
        let listed = syncs.iter().filter(|it| it.kind == "full").filter_map(|it| it.started_at).max();
        // After 30 days without a look everything is listed anew, by whatever sync comes first.
        let silence = world.long_jump_at.map(|at| at.micros());
        let after_silence =
            syncs.iter().filter_map(|it| it.started_at).filter(|at| silence.is_some_and(|it| *at >= it));
        let since = listed.max(after_silence.min()).map_or(0, |at| at / 1_000_000 + 2).max(world.events_since + 1);
        let mut after = String::new();
        loop {
            let path = format!("/v1/events?limit=100&created[gte]={since}{after}");
            let page = account.shop.must("GET", &path, "").await?;
            let events = page["data"].as_array().cloned().unwrap_or_default();
            for event in &events {
                findings.compared += 1;
                let id = event["id"].as_str().unwrap_or_default();
                if !processed.contains(id) {
                    findings.add(format!(
                        "event {id} ({}) of second {}: without its effect",
                        event["type"], event["created"]
                    ));
                }
            }
            let Some(last) = events.last().filter(|_| page["has_more"] == true) else { break };
            after = format!("&starting_after={}", last["id"].as_str().unwrap_or_default());
        }
    }
    Ok(())
}

/// Every write that was asked for had its effect exactly once, or certainly none.
async fn intents(world: &mut World, held: &[Held], findings: &mut Findings) -> Result<(), ProveError> {
    let parts = world.parts()?.clone();
    for write in &world.writes {
        findings.compared += 1;
        let mut tx = parts.base.store.read(write.tenant).await?;
        let intent = parts.gateway.intent(&mut tx, &write.intent).await?;
        drop(tx);
        let effects = held[write.account].tags.get(&write.tag).copied().unwrap_or(0);
        let Some(intent) = intent else {
            findings.add(format!("write {}: its intent {} is not there", write.tag, write.intent));
            continue;
        };
        let is_right = match &intent.state {
            IntentState::Done { .. } => effects == 1,
            // What its connection ended, or what could not be sent for a week.
            IntentState::Refused { refusal, .. } => {
                effects == 0 && matches!(refusal.code.as_str(), "connection_not_usable" | "intent_expired")
            }
            // Only where its connection ended while its answer was awaited.
            IntentState::InDoubt { why, .. } => effects <= 1 && why.contains("connection was ended"),
            IntentState::Pending | IntentState::Sent { .. } => false,
        };
        if !is_right {
            findings
                .add(format!("write {}: {effects} effects at Stripe, and its intent is {:?}", write.tag, intent.state));
        }
    }
    // Each tag was looked at once it had ended; a second effect later would have a tag that nobody asked for any more.
    let known: HashSet<&str> = world.writes.iter().map(|write| write.tag.as_str()).collect();
    let doubled: BTreeMap<&str, u32> = held
        .iter()
        .flat_map(|held| &held.tags)
        .filter(|(tag, count)| **count > 1 && !known.contains(tag.as_str()))
        .map(|(tag, count)| (tag.as_str(), *count))
        .collect();
    for (tag, count) in doubled {
        findings.add(format!("write {tag}: {count} effects at Stripe"));
    }
    world.writes.clear();
    Ok(())
}

/// Every secret opens, and is the one that was given; everything is under the newest key.
async fn secrets(world: &World, findings: &mut Findings) -> Result<(), ProveError> {
    let parts = world.parts()?;
    for account in &world.accounts {
        let (connection, key) = {
            let link = account.link();
            (link.connection.clone(), link.key.clone())
        };
        let Some(connection) = connection else { continue };
        findings.compared += 1;
        match parts.vault.linked(&connection).await {
            Ok(Some(linked)) => {
                let given = key.as_ref().map(|key| key.expose_secret().to_owned());
                if given.is_some_and(|given| given != linked.api_key.expose_secret()) {
                    findings.add(format!("connection {connection}: its key is not the one that was given last"));
                }
            }
            Ok(None) => findings.add(format!("connection {connection}: is not there")),
            Err(error) => findings.add(format!("connection {connection}: its secrets do not open ({error})")),
        }
    }
    let report = parts.vault.rotate(|_| {}).await.map_err(ProveError::look("a rotation"))?;
    findings.same(|| "secrets that do not open".to_owned(), report.refused, 0);
    for usage in parts.vault.key_usage().await.map_err(ProveError::look("the vault's keys"))? {
        findings.compared += 1;
        if usage.key_id != report.key_id && usage.secrets > 0 {
            findings.add(format!("{} secrets are still under the vault's key {}", usage.secrets, usage.key_id));
        }
    }
    Ok(())
}
