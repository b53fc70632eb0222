//! Nodes in processes of their own, killed at random points: during syncs, webhooks, writes, rotations and migrations.
//! Then everything is brought to rest in this process, and compared as in any other run.

use crate::{
    Failure, Figures, Outcome, ProveError, compare,
    database::Database,
    node::Node,
    play,
    process::Processes,
    run::chain,
    settle::settle,
    step::{self, Action, Step},
    world::{Setting, World},
    writes::{self, Write},
};
use kit::{Randomness, SeededRandomness, Stopwatch};
use platform::Roles;
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// Of so many kills one is of a migration.
const MIGRATION_EVERY: u32 = 10;
/// A node is held for this much longer than its jobs' lease lasts.
const BEYOND_LEASE: Duration = Duration::from_secs(3);
/// What was acknowledged is in its place within moments of a start.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(15);
/// Writes that are asked for between two lives of a node.
const WRITES: u64 = 4;

/// What to kill.
#[derive(Clone, Debug)]
pub struct KillOptions {
    /// The same seed plays the same steps; where a kill hits is chance.
    pub seed: u64,
    /// How many times a process is killed.
    pub kills: u32,
    /// A PostgreSQL server whose user may create databases; none for SQLite in a temporary folder.
    pub server: Option<String>,
    /// How many nodes share the database.
    pub nodes: usize,
    /// Hold a node for longer than its lease, once; takes half a minute.
    pub hold: bool,
    /// The program: `bursar`.
    pub program: PathBuf,
}

/// Kills nodes at random points, then compares everything with the model.
///
/// # Errors
/// Whatever keeps the run from being made; a node that does not start again is one.
pub async fn kill(options: &KillOptions, told: &mut (dyn FnMut(&Figures) + Send)) -> Result<Outcome, ProveError> {
    let watch = Stopwatch::start();
    let setting =
        Setting { seed: options.seed, server: options.server.clone(), nodes: options.nodes, machine_time: true };
    let mut figures = Figures::default();
    let mut world = World::open(setting).await?;
    let found = killed(&mut world, options, &mut figures, told).await;
    figures.take_counts(&world);
    world.close().await?;
    let differences = found?;
    figures.differences = differences.len() as u64;
    figures.seconds = watch.elapsed().as_secs_f64();
    let failure = (!differences.is_empty()).then(|| Failure {
        difference_count: differences.len() as u64,
        shortest_differences: differences.clone(),
        differences,
        steps: Vec::new(),
    });
    Ok(Outcome { figures, failure })
}

async fn killed(
    world: &mut World,
    options: &KillOptions,
    figures: &mut Figures,
    told: &mut (dyn FnMut(&Figures) + Send),
) -> Result<Vec<String>, ProveError> {
    // The accounts are connected in this process; from then on others work with the database.
    play::mend(world).await?;
    world.stop_nodes().await;
    let mut nodes = Processes::new(options.program.clone(), options.nodes.max(1))?;
    // Time is the machine's own here: a step that moved it would leave the other processes behind.
    let mut steps = step::generate(options.seed, options.kills.saturating_mul(400), 0)
        .into_iter()
        .filter(|step| is_of_business(&step.action))
        .map(|step| Step { after_ms: 0, ..step });
    let dice = SeededRandomness::new(options.seed ^ 0x6b69_6c6c);
    let mut acknowledged = BTreeSet::new();
    let mut differences = Vec::new();
    for number in 0..options.kills {
        if number % MIGRATION_EVERY == MIGRATION_EVERY - 1 {
            if let Some(difference) = migration(&nodes, options, &dice).await? {
                differences.push(difference);
            }
            figures.kills += 1;
            told(figures);
            continue;
        }
        nodes.start_all(world).await?;
        let place = usize::try_from(dice.below(1 << 16)).unwrap_or(0);
        provoke(world, &nodes, number, place).await?;
        for step in steps.by_ref().take(8 + usize::try_from(dice.below(40)).unwrap_or(0)) {
            figures.steps += 1;
            play::play(world, &step).await?;
        }
        remember(world, &mut acknowledged);
        if options.hold && number == options.kills / 2 {
            nodes.hold(place % options.nodes.max(1), platform::worker::LEASE + BEYOND_LEASE).await?;
            *figures.faults.entry("node_held".to_owned()).or_default() += 1;
        }
        kit::clock::pause(Duration::from_millis(dice.below(200))).await;
        remember(world, &mut acknowledged);
        nodes.kill(world, place).await?;
        figures.kills += 1;
        // Whom nobody answers tries again, as Stripe does.
        for step in steps.by_ref().take(usize::try_from(dice.below(6)).unwrap_or(0)) {
            figures.steps += 1;
            play::play(world, &step).await?;
        }
        if number % 3 == 0 {
            if options.server.is_none() {
                nodes.kill_all(world).await?;
            }
            ask_for_writes(world, number).await?;
        }
        told(figures);
    }
    remember(world, &mut acknowledged);
    nodes.kill_all(world).await?;
    drop(nodes);

    world.start_nodes().await?;
    figures.comparisons += acknowledged.len() as u64;
    for event in lost(world, &acknowledged).await? {
        differences.push(format!("event {event}: its delivery was acknowledged, and it is not there"));
    }
    match settle(world).await? {
        Ok(()) => {
            let findings = compare::compare(world, None).await?;
            figures.comparisons += findings.compared;
            figures.checkpoints += 1;
            differences.extend(findings.named);
        }
        Err(motion) => differences.push(format!("Bursar did not come to rest: {motion:?}")),
    }
    Ok(differences)
}

/// Acknowledged events that are not there, before anything has been read from Stripe's list again: time stands nearly
/// still, so no sweep comes. What was acknowledged just before the end may have to be taken up from where it was kept.
async fn lost(world: &World, acknowledged: &BTreeSet<String>) -> Result<BTreeSet<String>, ProveError> {
    let watch = Stopwatch::start();
    let mut missing = acknowledged.clone();
    loop {
        for event in missing.clone() {
            for tenant in world.tenants() {
                if world.parts()?.inbox.event(tenant, &event).await.is_ok() {
                    missing.remove(&event);
                }
            }
        }
        if missing.is_empty() || watch.elapsed() > TAKEN_UP_WITHIN {
            return Ok(missing);
        }
        kit::clock::pause(Duration::from_millis(100)).await;
    }
}

/// Steps that need no node: the business itself, and what goes wrong with webhooks.
fn is_of_business(action: &Action) -> bool {
    matches!(
        action,
        Action::Customer { .. }
            | Action::Pay { .. }
            | Action::Capture { .. }
            | Action::Refund { .. }
            | Action::Dispute { .. }
            | Action::Decide { .. }
            | Action::Subscribe { .. }
            | Action::Resubscribe { .. }
            | Action::Invoice { .. }
            | Action::Edit { .. }
            | Action::Delete { .. }
            | Action::Payout { .. }
            | Action::WebhookFault { .. }
    )
}

/// Has the nodes begin something that a kill may then interrupt.
async fn provoke(world: &mut World, nodes: &Processes, number: u32, place: usize) -> Result<(), ProveError> {
    let account = &world.accounts[number as usize % world.accounts.len()];
    let (connection, livemode) = (account.link().connection.clone(), account.shop.livemode);
    let Some(connection) = connection else { return Ok(()) };
    match number % 4 {
        0 => {
            nodes.ask(world, place, &format!("/v1/connections/{connection}/sync"), livemode, r#"{"kind":"full"}"#);
        }
        1 => {
            // Where keys are configured every node needs the new one first, which takes a start: that is tried by the
            // runs in one process. Here what lies in the data folder is rotated.
            if world.setting.server.is_none() {
                world.add_vault_key()?;
            }
            nodes.ask(world, place, "/v1/vault/rotate", false, "");
        }
        2 => {
            let body = r#"{"kind":"incremental"}"#;
            nodes.ask(world, place, &format!("/v1/connections/{connection}/sync"), livemode, body);
        }
        // Webhooks alone.
        _ => {}
    }
    Ok(())
}

/// Deliveries that were answered with success: from then on they must never be lost.
fn remember(world: &World, acknowledged: &mut BTreeSet<String>) {
    let taken = world.simulator.deliveries().into_iter().filter(|it| it.outcome.starts_with('2'));
    acknowledged.extend(taken.map(|it| it.event));
}

/// Asks for writes in this process, with a node that carries nothing out, and ends it as abruptly.
async fn ask_for_writes(world: &mut World, number: u32) -> Result<(), ProveError> {
    let mut config = world.config(0);
    config.roles = Roles { api: false, worker: false, scheduler: true };
    let node = Node::start(&config, server::PartsOptions::default).await?;
    for place in 0..WRITES {
        let account = usize::try_from(place).unwrap_or(0) % world.accounts.len();
        let Some(connection) = world.accounts[account].link().connection.clone() else { continue };
        let (parts, tenant, tag) = (node.parts.clone(), world.accounts[account].tenant, format!("k{number}-{place}"));
        let asked = {
            let tag = tag.clone();
            node.run(async move { writes::ask(&parts, tenant, connection, &tag).await }).await
        };
        if let Some(Ok(intent)) = asked {
            world.writes.push(Write { tag, tenant, intent, account });
        }
    }
    node.kill().await;
    Ok(())
}

/// Kills a migration of an empty database, runs it again, and says what was wrong with the outcome.
async fn migration(
    nodes: &Processes,
    options: &KillOptions,
    dice: &SeededRandomness,
) -> Result<Option<String>, ProveError> {
    let database = Database::create(options.server.as_deref()).await?;
    let mut config = platform::config::Config::embedded(database.folder());
    config.database_url = database.url.as_deref().map(kit::Secret::from);
    let migrate = || nodes.command(&config, &["migrate"]);
    let starting = || ProveError::io("starting a migration");
    let mut first = migrate().spawn().map_err(starting())?;
    kit::clock::pause(Duration::from_millis(dice.below(120))).await;
    first.kill().await.map_err(ProveError::io("killing a migration"))?;
    let mut wrong = None;
    for what in ["after it was killed", "once more"] {
        let status = migrate().status().await.map_err(starting())?;
        if !status.success() {
            wrong.get_or_insert(format!("a migration {what} ended with {status}"));
        }
    }
    if wrong.is_none() {
        // A node of this program must find everything in place.
        config.vault_keys = Some(vault::Keyring::generate_entry(kit::Clock::now(&kit::SystemClock), dice));
        config.roles = Roles { api: false, worker: false, scheduler: true };
        match Node::start(&config, server::PartsOptions::default).await {
            Ok(node) => node.stop().await,
            Err(error) => wrong = Some(format!("a database whose migration was killed: {}", chain(&error))),
        }
    }
    database.remove().await?;
    Ok(wrong)
}
