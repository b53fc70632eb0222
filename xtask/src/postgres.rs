//! A PostgreSQL for one run: made in a temporary folder, on a free port of the loopback address, and gone afterwards.
//!
//! The server belongs to a *keeper*, a second process of this program in a process group of its own. The keeper stops
//! the server and removes its folder when its standard input ends, and that happens however the first process ends:
//! by returning, by Ctrl-C, or killed without a word.

use crate::{needs, process};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const USER: &str = "bursar";
/// How often another port is tried when somebody else took the one found free.
const START_TRIES: u32 = 5;
/// What the keeper says when the server answers; anything else it says is an error's text.
const READY: &str = "ready";

/// A running server, stopped when this is dropped.
pub(crate) struct Postgres {
    url: String,
    version: String,
    keeper: Child,
}

impl Postgres {
    /// Starts a server with the programs in `programs`. Commits are not forced to the disk unless it is `durable`.
    pub(crate) fn start(programs: &Path, durable: bool) -> Result<Postgres> {
        let version = process::read(Command::new(programs.join("postgres")).arg("--version"))?.trim().to_owned();
        let mut last = anyhow!("no port of the loopback address is free");
        for _ in 0..START_TRIES {
            match Postgres::start_on(programs, durable, free_port()?, &version) {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
            // Only a port that was taken in between is worth another try.
            if !format!("{last:#}").contains("could not bind") {
                break;
            }
        }
        Err(last)
    }

    fn start_on(programs: &Path, durable: bool, port: u16, version: &str) -> Result<Postgres> {
        let password = password()?;
        let mut keeper = Command::new(std::env::current_exe()?)
            .arg("postgres-keeper")
            .env(KEEPER_PROGRAMS, programs)
            .env(KEEPER_PORT, port.to_string())
            .env(KEEPER_PASSWORD, &password)
            .env(KEEPER_DURABLE, if durable { "yes" } else { "no" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("starting the server's keeper")?;
        let mut said = String::new();
        if let Some(output) = keeper.stdout.take() {
            let mut output = BufReader::new(output);
            output.read_line(&mut said)?;
            if said.trim() != READY {
                output.read_to_string(&mut said)?;
            }
        }
        let url = format!("postgres://{USER}:{password}@{}:{port}/postgres", Ipv4Addr::LOCALHOST);
        let server = Postgres { url, version: version.to_owned(), keeper };
        if said.trim() != READY {
            bail!("the server did not start: {}", said.trim());
        }
        Ok(server)
    }

    /// The address, with the name and password of a superuser.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The server in words, without its password.
    pub(crate) fn describe(&self) -> String {
        let at = self.url.rsplit_once('@').map_or("", |(_, at)| at);
        format!("{} at {}", self.version, at.trim_end_matches("/postgres"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// `cargo xtask postgres`: a server for as long as somebody holds the terminal.
pub(crate) fn hold(durable: bool) -> Result<()> {
    let folder = needs::meet(true, false)?.postgres_folder.context("no PostgreSQL was found")?;
    let server = Postgres::start(&folder, durable)?;
    println!("{}; it stops with Ctrl-C or at the end of input", server.describe());
    println!("export {}='{}'", crate::test::POSTGRES_URL, server.url());
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A password of 128 random bits, so that others on this machine cannot use the server while it lives.
fn password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("asking for randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

// By the environment and not by arguments, which every user of the machine can read.
const KEEPER_PROGRAMS: &str = "BURSAR_KEEPER_PROGRAMS";
const KEEPER_PORT: &str = "BURSAR_KEEPER_PORT";
const KEEPER_PASSWORD: &str = "BURSAR_KEEPER_PASSWORD";
const KEEPER_DURABLE: &str = "BURSAR_KEEPER_DURABLE";

/// The keeper's whole life: makes the server, says so, waits for the end of input, removes everything.
pub(crate) fn keep() -> Result<()> {
    let cluster = Cluster::make()?;
    let started = cluster.create().and_then(|()| cluster.start());
    match &started {
        Ok(()) => println!("{READY}"),
        // On standard output, where the first process reads it as part of its own error.
        Err(error) => println!("{error:#}"),
    }
    if started.is_ok() {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    }
    Ok(())
}

/// The folder of a server, and what is needed to run its programs.
struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// PostgreSQL refuses to run as root: then, whom it runs as (user and group).
    run_as: Option<(u32, u32)>,
    port: u16,
    durable: bool,
}

impl Cluster {
    fn make() -> Result<Cluster> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        let run_as = match needs::own_user_id() {
            Some(0) => Some(unprivileged_user()?),
            _ => None,
        };
        let folder = temporary_folder(run_as.is_some()).join(format!("bursar-postgres-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("making {}", folder.display()))?;
        if let Some((user, group)) = run_as {
            chown(&folder, Some(user), Some(group))?;
        }
        Ok(Cluster {
            programs: variable(KEEPER_PROGRAMS)?.into(),
            folder,
            run_as,
            port: variable(KEEPER_PORT)?.parse().context("reading the port")?,
            durable: variable(KEEPER_DURABLE)? == "yes",
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder).env_remove(KEEPER_PASSWORD).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.run_as {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the empty server.
    ///
    /// Text sorts as people in most places have it, not by bytes, where PostgreSQL knows how: a query that silently
    /// relies on the order of bytes fails here and not at its first user.
    fn create(&self) -> Result<()> {
        let password_file = self.folder.join("password");
        let password = std::env::var(KEEPER_PASSWORD).context("no password was given")?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password_file)?;
        file.write_all(password.as_bytes())?;
        if let Some((user, group)) = self.run_as {
            chown(&password_file, Some(user), Some(group))?;
        }
        let attempt = |locale: &[&str]| {
            let mut initdb = self.program("initdb");
            initdb
                .args(["--username", USER, "--encoding=UTF8", "--auth=md5", "--no-sync", "--pgdata"])
                .arg(self.data());
            process::read(initdb.arg("--pwfile").arg(&password_file).args(locale))
        };
        let made = attempt(&["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]).or_else(|_| {
            let _ = fs::remove_dir_all(self.data());
            attempt(&["--no-locale"])
        });
        fs::remove_file(&password_file)?;
        made.map(|_| ())
    }

    fn start(&self) -> Result<()> {
        let log = self.folder.join("log");
        let started = process::read(
            self.program("pg_ctl")
                .args(["start", "--wait", "--timeout=120", "--silent", "--pgdata"])
                .arg(self.data())
                .args(["--log".as_ref(), log.as_os_str(), "--options".as_ref(), self.settings().as_ref()]),
        );
        started.map(|_| ()).map_err(|error| {
            let told = fs::read_to_string(&log).unwrap_or_default();
            error.context(told)
        })
    }

    /// Settings as arguments of `postgres`.
    fn settings(&self) -> String {
        let mut settings = vec![
            format!("port={}", self.port),
            format!("listen_addresses={}", Ipv4Addr::LOCALHOST),
            "max_connections=400".into(),
            "shared_buffers=128MB".into(),
            "jit=off".into(),
            "max_parallel_workers_per_gather=0".into(),
        ];
        if !self.durable {
            // Hundreds of databases live for a second each: nothing needs to reach the disk, or to be vacuumed.
            let for_speed = [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
                "autovacuum=off",
            ];
            settings.extend(for_speed.map(String::from));
        }
        // A socket's path may have 107 bytes; without one, the port on the loopback address serves alone.
        let socket_folder = self.folder.display().to_string();
        settings
            .push(format!("unix_socket_directories={}", if socket_folder.len() < 80 { &socket_folder } else { "" }));
        settings.iter().map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            let stopped = process::read(
                self.program("pg_ctl")
                    .args(["stop", "--mode=immediate", "--wait", "--silent", "--pgdata"])
                    .arg(self.data()),
            );
            if let Err(error) = stopped {
                eprintln!("the PostgreSQL of this run was not stopped: {error:#}");
                return;
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} was not removed: {error}", self.folder.display());
        }
    }
}

/// The user `postgres`, or else `nobody`: user and group.
fn unprivileged_user() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("reading the list of users")?;
    ["postgres", "nobody"].into_iter().find_map(|name| user_in(&users, name)).context(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`: run the tests as another user",
    )
}

fn user_in(users: &str, name: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> =
        users.lines().map(|line| line.split(':').collect()).find(|fields: &Vec<_>| fields.first() == Some(&name))?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

/// The system's temporary folder, unless another user could not enter it and has to.
fn temporary_folder(for_another_user: bool) -> PathBuf {
    let usual = std::env::temp_dir();
    let open_to_all = |folder: &Path| {
        folder.ancestors().all(|part| fs::metadata(part).is_ok_and(|found| found.permissions().mode() & 0o001 != 0))
    };
    if !for_another_user || open_to_all(&usual) { usual } else { Path::new("/").join("tmp") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_the_list() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres:x:107:115:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(user_in(users, "postgres"), Some((107, 115)));
        assert_eq!(user_in(users, "nobody"), None);
        assert_eq!(user_in("postgres:x:bad:1", "postgres"), None);
    }

    #[test]
    fn every_password_is_another() {
        let (one, two) = (password().unwrap(), password().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
