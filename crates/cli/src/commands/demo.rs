//! `bursar demo`: everything at work with nothing configured.

use crate::{
    commands::{
        serve::{keep_token, stop_requested},
        sim::simulator_failure,
        sync, tenant_of,
    },
    failure::Failure,
    output, remote,
    settings::{NodeSettings, Settings},
};
use anyhow::Context;
use clap::Args;
use gateway::{NewConnectionRequest, WebhookChoice};
use kit::{Environment, Stopwatch, TenantId, clock::pause};
use platform::{Problem, config::Config};
use revenue::TieOut;
use serde_json::{Value, json};
use server::{PartsOptions, Running};
use simulator::{Business, Limits, Options, Simulator, TrafficPlan};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use vault::{Connection, ConnectionState};

/// Shows everything at work: a simulated business of two years is connected and back-filled, then kept in step by
/// webhooks that keep arriving. Prints a summary and the console's address.
#[derive(Args)]
pub(crate) struct Demo {
    /// Load Stripe's own sample objects from `DIR/fixtures.json` instead of making up a business.
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// End after the summary.
    #[arg(long)]
    once: bool,
    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// Customers of the business.
    #[arg(long, default_value_t = 5_000)]
    customers: u32,
    /// Charges over two years.
    #[arg(long, default_value_t = 60_000)]
    charges: u32,
    /// The same seed makes the same business.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Things that happen each second from then on; each sends webhooks.
    #[arg(long, default_value_t = 3, value_name = "RATE")]
    traffic: u32,
    /// Keep to Stripe's rate limits, on both sides.
    #[arg(long)]
    limits: bool,
    /// Address of the console; if the usual one is taken, a free port is used.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Webhooks to see before the summary is printed.
const WEBHOOKS_AWAITED: i64 = 10;
/// How long they are waited for; without them the summary says so.
const WEBHOOKS_PATIENCE: Duration = Duration::from_secs(30);

/// How long an earlier demo's data may take to go from a shared database.
const ERASING_PATIENCE: Duration = Duration::from_secs(300);

impl Demo {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config()?;
        settings.start_log(&config, "error")?;
        let watch = Stopwatch::start();
        let quiet = self.json;
        let simulated = self.simulate(quiet).await?;
        let (config, running) = self.start_node(config, &simulated).await?;
        let parts = &running.parts;
        let tenant = tenant_of(parts, Environment::Test);
        let connection = connect(&running, tenant, &simulated).await?;
        let filling = Stopwatch::start();
        fill(&running, tenant, &connection, quiet).await?;
        let filled_s = filling.elapsed().as_secs_f64();
        if self.fixtures.is_none() {
            let plan = TrafficPlan { per_second: self.traffic.max(1) };
            simulated.simulator.start_traffic(&simulated.account_id, false, &plan).map_err(simulator_failure)?;
            await_webhooks(&running, tenant, quiet).await?;
        }
        let summary = summarize(&running, tenant, &connection, filled_s, watch.elapsed()).await?;
        if self.json {
            output::say_json(&summary)?;
        } else {
            print_summary(&summary);
        }
        if !self.once {
            announce(&config, &running, &simulated).await?;
            stop_requested().await;
            output::say("\nStopping …");
        }
        simulated.simulator.stop_traffic();
        drop(std::fs::remove_file(remote::run_file(&config.data_dir)));
        running.stop().await;
        simulated.serving.abort();
        Ok(())
    }

    /// Makes the business and lets the simulator answer on a port of its own.
    async fn simulate(&self, quiet: bool) -> Result<Simulated, Failure> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let limits = if self.limits { Limits::PUBLISHED } else { Limits::Off };
        let simulator = Simulator::new(Options { seed: self.seed, limits, ..Options::default() });
        let account = simulator.default_account();
        let watch = Stopwatch::start();
        let said = if let Some(folder) = &self.fixtures {
            let file = folder.join("fixtures.json");
            let text = std::fs::read_to_string(&file).map_err(|error| {
                let what = format!("{} cannot be read: {error}", file.display());
                Failure::new(2, "fixtures_unreadable", what, "Name the folder that holds Stripe's fixtures.json.")
            })?;
            let loaded = simulator.load_fixtures(&account.account_id, &text).map_err(simulator_failure)?;
            format!("Loaded {} of Stripe's sample objects", loaded.objects)
        } else {
            let business =
                Business { seed: self.seed, customers: self.customers, charges: self.charges, ..Business::default() };
            simulator.generate(&account.account_id, &business).map_err(simulator_failure)?;
            let counts = simulator.counts(&account.account_id, false).map_err(simulator_failure)?;
            let count = |kind: &str| output::count(counts.get(kind).copied().unwrap_or(0) as u64);
            format!(
                "Made up a business of two years: {} customers, {} charges, {} subscriptions, {} refunds, {} disputes",
                count("customer"),
                count("charge"),
                count("subscription"),
                count("refund"),
                count("dispute")
            )
        };
        if !quiet {
            output::say(format!("{said}  ({:.1} s)", watch.elapsed().as_secs_f64()));
        }
        let serving = tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
        Ok(Simulated { simulator, url, account_id: account.account_id, key: account.secret_key_test, serving })
    }

    /// Starts a node that knows only the simulator. Without a database it begins with an empty folder each time.
    async fn start_node(&self, mut config: Config, simulated: &Simulated) -> Result<(Config, Running), Failure> {
        if config.database_url.is_none() {
            config.data_dir = config.data_dir.join("demo");
            empty_folder(&config.data_dir)?;
        }
        let settings_of_node = NodeSettings::default();
        config.listen = self.listen.or(settings_of_node.listen).unwrap_or(config.listen);
        if self.listen.is_none() && std::net::TcpListener::bind(config.listen).is_err() {
            config.listen.set_port(0);
        }
        if config.listen.port() == 0 {
            // The public address must be known before the node starts; a port that was free a moment ago will do.
            config.listen = std::net::TcpListener::bind(config.listen)?.local_addr()?;
        }
        config.public_url = Some(format!("http://{}", config.listen));
        config.stripe_api_base.clone_from(&simulated.url);
        if config.database_url.is_some() && config.vault_keys.is_none() {
            config.vault_keys =
                Some(vault::Keyring::generate_entry(kit::Clock::now(&kit::SystemClock), &kit::SystemRandomness));
        }
        let mut options = PartsOptions::default();
        if !self.limits {
            options.limits = None;
        }
        let running = server::start(&config, options).await?;
        Ok((config, running))
    }
}

/// The simulator at work.
struct Simulated {
    simulator: Simulator,
    url: String,
    account_id: String,
    key: kit::Secret,
    serving: tokio::task::JoinHandle<()>,
}

/// Removes an earlier demo's data. Only a folder that holds nothing else is touched.
fn empty_folder(folder: &std::path::Path) -> Result<(), Failure> {
    const OURS: [&str; 7] = [
        "bursar.sqlite",
        "bursar.sqlite-wal",
        "bursar.sqlite-shm",
        "bursar.sqlite.lock",
        "vault.keys",
        "admin-token",
        "bursar.run.json",
    ];
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            let what = format!("{} holds `{}`, which no demo made", folder.display(), name.to_string_lossy());
            return Err(Failure::new(3, "folder_not_ours", what, "Choose another folder with --data-dir."));
        }
    }
    // Who holds the lock uses the database; its files must not be taken from under it.
    let lock =
        std::fs::File::options().create(true).truncate(false).write(true).open(folder.join("bursar.sqlite.lock"))?;
    if lock.try_lock().is_err() {
        let what = format!("another demo uses {}", folder.display());
        return Err(Failure::new(3, "folder_in_use", what, "Stop it, or choose another folder with --data-dir."));
    }
    for name in OURS.iter().filter(|name| !name.ends_with(".lock")) {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn connect(running: &Running, tenant: TenantId, simulated: &Simulated) -> Result<Connection, Failure> {
    let parts = &running.parts;
    // On a shared database an earlier demo may have left its connection; its account is this one's.
    let mut tx = parts.base.store.read(tenant).await?;
    let known = parts.vault.connections(&mut tx).await.map_err(Problem::from)?;
    drop(tx);
    for old in known {
        if old.account_id == simulated.account_id && old.state != ConnectionState::Disconnected {
            parts.gateway.disconnect(tenant, &old.id, true).await.map_err(Problem::from)?;
        }
    }
    erased(running, tenant, &simulated.account_id).await?;
    let request = NewConnectionRequest {
        api_key: simulated.key.clone(),
        lookback_days: None,
        display_name: Some("Northwind Audio (simulated)".to_owned()),
        webhook: WebhookChoice::Auto,
    };
    Ok(parts.gateway.connect(tenant, Environment::Test, request).await.map_err(Problem::from)?)
}

/// Waits until nothing is left of an account: once it is connected anew its data counts as in use, and stays.
async fn erased(running: &Running, tenant: TenantId, account_id: &str) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    loop {
        let summary = running.parts.mirror.summary(tenant).await.map_err(Problem::from)?;
        if summary.kinds.iter().all(|kind| kind.account_id != account_id) {
            return Ok(());
        }
        if watch.elapsed() > ERASING_PATIENCE {
            let what = "an earlier demo's data in this database is not erased yet";
            return Err(Failure::new(1, "demo_data_left", what, "Start the demo again in a while."));
        }
        pause(Duration::from_millis(100)).await;
    }
}

/// Waits for the first full sync, with a bar.
async fn fill(running: &Running, tenant: TenantId, connection: &Connection, quiet: bool) -> Result<(), Failure> {
    let bar = if quiet { indicatif::ProgressBar::hidden() } else { output::bar(0, "objects") };
    loop {
        let status = running.parts.mirror.sync_status(tenant, &connection.id).await.map_err(Problem::from)?;
        let status = serde_json::to_value(status)?;
        sync::show(&bar, &status);
        if let Some(outcome) = sync::ended(&status) {
            bar.finish_and_clear();
            outcome.map_err(|why| {
                Failure::new(1, "sync_failed", format!("the first sync failed: {why}"), "Please report this.")
            })?;
            return Ok(());
        }
        pause(Duration::from_millis(100)).await;
    }
}

async fn await_webhooks(running: &Running, tenant: TenantId, quiet: bool) -> Result<(), Failure> {
    let spinner =
        if quiet { indicatif::ProgressBar::hidden() } else { output::spinner("waiting for the first webhooks") };
    let watch = Stopwatch::start();
    while watch.elapsed() < WEBHOOKS_PATIENCE {
        let counts = running.parts.inbox.counts(tenant).await.map_err(Problem::from)?;
        if webhooks(&counts) >= WEBHOOKS_AWAITED && counts.ready == 0 {
            break;
        }
        pause(Duration::from_millis(100)).await;
    }
    spinner.finish_and_clear();
    Ok(())
}

fn webhooks(counts: &inbox::Counts) -> i64 {
    counts.connections.iter().map(|connection| connection.by_webhook_24h).sum()
}

/// Everything a person wants to know, as one JSON object.
async fn summarize(
    running: &Running,
    tenant: TenantId,
    connection: &Connection,
    filled_s: f64,
    took: Duration,
) -> Result<Value, Failure> {
    let parts = &running.parts;
    let summary = parts.mirror.summary(tenant).await.map_err(Problem::from)?;
    let kinds = summary.kinds.iter().filter(|kind| kind.account_id == connection.account_id);
    let objects: serde_json::Map<String, Value> =
        kinds.map(|kind| (kind.object_type.clone(), json!(kind.objects))).collect();
    let total: i64 = objects.values().filter_map(Value::as_i64).sum();
    let totals = parts.revenue.totals(tenant).await.map_err(Problem::from)?;
    let revenue: Vec<Value> = totals
        .iter()
        .map(|total| {
            json!({
                "currency": total.currency, "exponent": total.currency.exponent(), "charges": total.charges,
                "gross_minor": total.gross_minor, "refunds_minor": total.refunds_minor, "disputes_minor": total.disputes_minor,
                "fees_minor": total.fees_minor, "net_minor": total.net_minor(),
            })
        })
        .collect();
    let tie_out = settled_tie_out(running, tenant).await?;
    let counts = parts.inbox.counts(tenant).await.map_err(Problem::from)?;
    Ok(json!({
        "connection": connection.id, "account": connection.account_id, "environment": "test",
        "objects": { "total": total, "by_type": objects },
        "sync": { "seconds": (filled_s * 1_000.0).round() / 1_000.0, "objects_per_second": (total as f64 / filled_s).round() },
        "webhooks": { "received": webhooks(&counts), "waiting": counts.ready, "failed": counts.failed, "dead": counts.dead },
        "revenue": revenue,
        "tie_out": {
            "balanced": tie_out.difference_count == 0, "differences": tie_out.difference_count,
            "facts": tie_out.facts, "awaited": tie_out.awaited, "balance_transactions": tie_out.balance_transactions,
        },
        "seconds": (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
    }))
}

/// The tie-out once what is under way has settled: a charge of this second may still wait for its balance transaction.
async fn settled_tie_out(running: &Running, tenant: TenantId) -> Result<TieOut, Failure> {
    let watch = Stopwatch::start();
    loop {
        let tie_out = running.parts.revenue.tie_out(tenant).await.map_err(Problem::from)?;
        if tie_out.difference_count == 0 || watch.elapsed() > Duration::from_secs(20) {
            return Ok(tie_out);
        }
        pause(Duration::from_millis(500)).await;
    }
}

fn print_summary(summary: &Value) {
    let number = |value: &Value| output::count(value.as_u64().unwrap_or(0));
    output::say(format!(
        "Connected and read {} objects in {:.1} s ({} a second)\n",
        number(&summary["objects"]["total"]),
        summary["sync"]["seconds"].as_f64().unwrap_or(0.0),
        number(&json!(summary["sync"]["objects_per_second"].as_f64().unwrap_or(0.0) as u64)),
    ));
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["currency", "charges", "gross", "refunds", "disputes", "fees", "net"]);
    for row in summary["revenue"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let Some(currency) = row["currency"].as_str().and_then(|code| code.parse::<kit::Currency>().ok()) else {
            continue;
        };
        let money = |name: &str| kit::money::format_minor(row[name].as_i64().unwrap_or(0), currency);
        let cells = [
            currency.to_string(),
            number(&row["charges"]),
            money("gross_minor"),
            money("refunds_minor"),
            money("disputes_minor"),
            money("fees_minor"),
            money("net_minor"),
        ];
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    output::say(table);
    let (tie_out, webhooks) = (&summary["tie_out"], &summary["webhooks"]);
    let verdict = match tie_out["differences"].as_u64().unwrap_or(0) {
        0 => "to the cent".to_owned(),
        differences => format!("{} differences", output::count(differences)),
    };
    output::say(format!(
        "\ntie-out     {verdict}: {} facts against {} balance transactions",
        number(&tie_out["facts"]),
        number(&tie_out["balance_transactions"])
    ));
    output::say(format!(
        "webhooks    {} received, {} waiting, {} failed",
        number(&webhooks["received"]),
        number(&webhooks["waiting"]),
        number(&webhooks["failed"])
    ));
}

async fn announce(config: &Config, running: &Running, simulated: &Simulated) -> Result<(), Failure> {
    let url = running.local_url().context("the console's address")?;
    std::fs::create_dir_all(&config.data_dir)?;
    let run = remote::RunFile { url: url.clone(), process_id: std::process::id() };
    std::fs::write(remote::run_file(&config.data_dir), serde_json::to_vec(&run)?)?;
    if let Some(token) = &running.parts.bootstrap.admin_token {
        keep_token(&config.data_dir, token)?;
    }
    let code = running.parts.identity.sign_in_code().await.map_err(server::StartError::from)?;
    output::say(format!("console     {url}/sign-in/{code}   (signs you in, once)"));
    output::say(format!("faults      {}/_sim   (make Stripe fail, and watch the overview)", simulated.url));
    output::say("\nWebhooks keep arriving; watch the overview. Ctrl-C ends the demo.");
    Ok(())
}
