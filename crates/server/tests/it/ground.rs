//! The ground gives way: secrets that are damaged, databases that are newer, taken, gone or full.

use crate::world::{TOKEN, World, free_address};
use kit::{ExposeSecret, Secret};
use platform::config::Config;
use serde_json::{Value, json};
use server::StartError;
use std::{path::Path, process::Command};
use testkit::{Answer, Engine, Stage, behind, on_both_engines, run, wait_for};

on_both_engines!(
    a_damaged_secret_stops_only_its_connection,
    a_database_that_is_newer_than_the_program_is_left_alone,
    a_port_in_use_is_told_before_anything_is_touched,
    what_an_account_leaves_is_erased_when_asked,
);

fn event(number: usize, filling: usize) -> String {
    let created = testkit::START.seconds();
    json!({
        "id": format!("evt_{number}"), "object": "event", "type": "customer.created", "created": created,
        "livemode": false, "api_version": "2026-10-28.endive", "pending_webhooks": 1,
        "data": { "object": { "id": format!("cus_{number}"), "object": "customer", "created": created,
            "livemode": false, "description": "x".repeat(filling) } },
    })
    .to_string()
}

/// Delivers a body as Stripe does, with a secret that the test knows.
async fn deliver(world: &World, connection: &str, secret: &str, body: &str) -> Answer {
    let signature = stripe::signature::sign(body.as_bytes(), &[Secret::from(secret)], world.now());
    let request = world.request("POST", &format!("/webhooks/stripe/{connection}"));
    world.send(request.header("stripe-signature", signature).body(body.to_owned())).await
}

const SECRETS: [&str; 2] = ["whsec_0123456789abcdefghijklmnop", "whsec_9876543210abcdefghijklmnop"];

/// Connects an account whose webhook secret the test knows.
async fn connect(world: &World, key: &Secret, secret: &str) -> String {
    let body = json!({ "api_key": key.expose_secret(), "webhook": { "secret": secret } });
    let made: Value = world.post("/v1/connections", &body).await.expect(201).json();
    let connection = made["id"].as_str().unwrap().to_owned();
    world.synced(&connection).await;
    connection
}

#[track_caller]
fn problem(answer: Answer, status: u16, code: &str) {
    let problem: Value = answer.expect_problem(status, code).json();
    assert!(problem["what_to_do"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
}

async fn a_damaged_secret_stops_only_its_connection(stage: Stage) {
    let mut world = World::start(stage).await;
    let sound = connect(&world, &world.stripe.secret_key(), SECRETS[0]).await;
    let other = world.stripe.simulator.account_with_keys("Other");
    let damaged = connect(&world, &other.secret_key_test, SECRETS[1]).await;
    world.stop_node().await;
    let alter = match world.engine {
        Engine::Sqlite => "x'00'",
        Engine::Postgres => "'\\x00'::bytea",
    };
    let secrets = "vault_secrets";
    let statement = format!("UPDATE {secrets} SET sealed = sealed || {alter} WHERE owner_id = '{damaged}'");
    behind::execute(&world.url, &statement).await;
    world.start_node().await;

    let answer = world.post(&format!("/v1/connections/{damaged}/test"), &json!({})).await;
    problem(answer, 500, "secret_corrupt");
    problem(deliver(&world, &damaged, SECRETS[1], &event(1, 0)).await, 500, "secret_corrupt");
    // The other one goes on as if nothing were.
    world.post(&format!("/v1/connections/{sound}/test"), &json!({})).await.expect(200);
    deliver(&world, &sound, SECRETS[0], &event(2, 0)).await.expect(200);
    world.settled().await;
    world.get("/v1/objects/customer/cus_2").await.expect(200);
    world.sync(&sound).await;
    // What to do about it helps: a new key and a new secret.
    let list: Value = world.get("/v1/connections").await.expect(200).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "both are still shown");
    world.stop_node().await;
}

/// The refusal of a start, with something to do about it.
#[track_caller]
fn refused(outcome: Result<server::Running, StartError>, code: &str) {
    let error = outcome.err().unwrap_or_else(|| panic!("the node started, but {code} was expected"));
    assert_eq!(error.code(), code, "{error}");
    assert!(!error.what_to_do().is_empty() && !error.to_string().is_empty(), "{code}");
}

async fn a_database_that_is_newer_than_the_program_is_left_alone(stage: Stage) {
    let mut world = World::start(stage).await;
    world.stop_node().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
                 SELECT 9999, 'of the future', installed_on, success, checksum, execution_time
                 FROM _sqlx_migrations WHERE version = 1";
    behind::execute(&world.url, newer).await;
    refused(world.another(&world.config).await, "database_newer");
    behind::execute(&world.url, "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    world.start_node().await;
    world.stop_node().await;
}

async fn a_port_in_use_is_told_before_anything_is_touched(stage: Stage) {
    let mut world = World::start(stage).await;
    let data = tempfile::tempdir().unwrap();
    let elsewhere = Config { data_dir: data.path().join("new"), ..world.config.clone() };
    refused(world.another(&elsewhere).await, "port_in_use");
    assert!(!elsewhere.data_dir.exists(), "nothing was begun");
    if world.engine == Engine::Sqlite {
        let same_folder = Config { listen: free_address(), ..world.config.clone() };
        refused(world.another(&same_folder).await, "folder_in_use");
    }
    world.send(world.request("GET", "/readyz")).await.expect(200);
    world.stop_node().await;
}

async fn what_an_account_leaves_is_erased_when_asked(stage: Stage) {
    let mut world = World::start(stage).await;
    world.generate(10, 60);
    let connection = world.connect().await;
    world.synced(&connection).await;
    world.at_stripe("POST", "/v1/customers", "name=New").await;
    world.settled().await;
    let tables =
        ["mirror_objects", "mirror_counts", "inbox_events", "inbox_payloads", "revenue_facts", "revenue_daily"];
    for table in tables {
        assert!(
            behind::number(&world.url, &format!("SELECT count(*) FROM {table}")).await > 0,
            "{table} holds something"
        );
    }
    let request = world.request("DELETE", &format!("/v1/connections/{connection}?data=erase")).bearer_auth(TOKEN);
    world.send(request).await.expect(200);
    for table in tables {
        wait_for(table, || async {
            (behind::number(&world.url, &format!("SELECT count(*) FROM {table}")).await == 0).then_some(())
        })
        .await;
    }
    let counts = world.stripe.simulator.counts(&world.stripe.account.account_id, false).unwrap();
    assert_eq!(counts.get("webhook_endpoint").copied().unwrap_or(0), 0, "Stripe is not left with an endpoint");
    world.stop_node().await;
}

#[test]
fn a_database_that_goes_away_loses_nothing() {
    run(Engine::Postgres, "a_database_that_goes_away_loses_nothing", gone_and_back);
}

async fn gone_and_back(stage: Stage) {
    let mut world = World::start(stage).await;
    let connection = connect(&world, &world.stripe.secret_key(), SECRETS[0]).await;
    let (server, database) = world.url.rsplit_once('/').unwrap();
    let database = database.split('?').next().unwrap().to_owned();
    let server = format!("{server}/postgres");
    for statement in [
        format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"),
    ] {
        behind::execute(&server, &statement).await;
    }
    // Which pool notices first is chance; soon all have.
    for number in 0..3 {
        problem(deliver(&world, &connection, SECRETS[0], &event(number, 0)).await, 503, "database_unavailable");
    }
    let answer = world.send(world.request("GET", "/readyz")).await.expect(503).json::<Value>();
    assert_eq!((&answer["status"], &answer["code"]), (&json!("not_ready"), &json!("database_unavailable")));
    assert!(!answer["what_to_do"].as_str().unwrap().is_empty());
    world.send(world.request("GET", "/healthz")).await.expect(200);

    behind::execute(&server, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await;
    wait_for("the node to be ready again", || async {
        (world.send(world.request("GET", "/readyz")).await.status == 200).then_some(())
    })
    .await;
    // Stripe tries again, and everything is there.
    for number in 0..3 {
        deliver(&world, &connection, SECRETS[0], &event(number, 0)).await.expect(200);
    }
    world.settled().await;
    for number in 0..3 {
        world.get(&format!("/v1/objects/customer/cus_{number}")).await.expect(200);
    }
    world.sync(&connection).await;
    world.stop_node().await;
}

/// Where the small disk is, for the process that runs on it.
const SMALL_DISK: &str = "BURSAR_TEST_SMALL_DISK";

/// Runs once more in a process of its own, whose mount namespace has a disk of some megabytes: nobody else sees it, and
/// it is gone with the process.
#[test]
fn a_full_disk_refuses_and_recovers() {
    if std::env::var_os(SMALL_DISK).is_some() {
        return run(Engine::Sqlite, "a_full_disk_refuses_and_recovers", filled_and_freed);
    }
    let disk = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=24m none "$0""#;
    let script = format!(r#"{mount} && exec "$@""#);
    // Root needs no further user; whoever is not becomes root of a user namespace.
    let mut failures = Vec::new();
    for namespaces in [&["--mount"][..], &["--mount", "--user", "--map-root-user"]] {
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(namespaces).args(["sh", "-c", script]).arg(disk.path());
            command
        };
        let tried = unshare(mount).output().expect("`unshare` of util-linux is installed");
        if !tried.status.success() {
            failures.push(String::from_utf8_lossy(&tried.stderr).into_owned());
            continue;
        }
        let ran = unshare(&script)
            .arg(std::env::current_exe().unwrap())
            .args(["ground::a_full_disk_refuses_and_recovers", "--exact", "--nocapture"])
            .env("TMPDIR", disk.path())
            .env(SMALL_DISK, disk.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && told.contains("1 passed"), "on the small disk: {told}");
        return;
    }
    panic!("no mount namespace can be made here, neither as root nor in a user namespace: {failures:?}");
}

async fn filled_and_freed(stage: Stage) {
    let mut world = World::start(stage).await;
    let connection = connect(&world, &world.stripe.secret_key(), SECRETS[0]).await;
    let disk = std::env::var(SMALL_DISK).unwrap();
    let ballast = Path::new(&disk).join("ballast");
    fill(&ballast);
    let (mut taken, mut refused) = (Vec::new(), None);
    for number in 0..400 {
        let answer = deliver(&world, &connection, SECRETS[0], &event(number, 100_000)).await;
        match answer.status.as_u16() {
            200 => taken.push(number),
            _ => {
                problem(answer, 507, "database_full");
                refused = Some(number);
                break;
            }
        }
    }
    let refused = refused.expect("40 MB do not fit");
    // Reading goes on.
    world.get("/v1/inbox").await.expect(200);
    std::fs::remove_file(&ballast).unwrap();
    wait_for("the delivery to be taken when Stripe tries again", || async {
        let answer = deliver(&world, &connection, SECRETS[0], &event(refused, 100_000)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    world.settled().await;
    for number in taken.iter().chain([&refused]) {
        world.get(&format!("/v1/objects/customer/cus_{number}")).await.expect(200);
    }
    world.sync(&connection).await;
    world.stop_node().await;
}

/// Takes what is left of a disk, in ever smaller pieces.
fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast).unwrap();
    let mut piece = 1 << 20;
    while piece >= 4_096 {
        if file.write_all(&vec![0; piece]).and_then(|()| file.flush()).is_err() {
            piece /= 2;
        }
    }
}
