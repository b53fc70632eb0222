//! A small load generator: prepared requests over keep-alive connections, so that it costs little beside the node.

use crate::failure::Failure;
use anyhow::{Context, bail};
use kit::{Stopwatch, clock::pause};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// Makes the bytes of the `n`th request.
pub(super) type MakeRequest = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// What a load met.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Microseconds from the time a request was due to its answer, sorted.
    pub(super) latencies_us: Vec<u64>,
    /// Answers other than 200.
    pub(super) refused: u64,
    /// How long it took.
    pub(super) elapsed: Duration,
}

impl Outcome {
    /// Answers of 200 a second.
    pub(super) fn rate(&self) -> f64 {
        (self.latencies_us.len() as f64 / self.elapsed.as_secs_f64()).round()
    }
}

/// How requests follow one another.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// So many a second over all connections, due by the clock whether or not earlier ones were answered.
    PerSecond(u64),
    /// Each connection sends the next as soon as it has its answer.
    AsFastAsAnswered,
}

/// Sends requests for `duration` over `connections`; the first has the number `first`.
pub(super) async fn run(
    port: u16,
    make: MakeRequest,
    first: u64,
    connections: u64,
    pace: Pace,
    duration: Duration,
) -> Result<Outcome, Failure> {
    let watch = Stopwatch::start();
    let mut tasks: JoinSet<anyhow::Result<Outcome>> = JoinSet::new();
    for connection in 0..connections {
        let make = Arc::clone(&make);
        tasks.spawn(async move {
            let mut stream = Stream::connect(port).await?;
            let mut outcome = Outcome::default();
            for round in 0_u64.. {
                let number = round * connections + connection;
                let due = match pace {
                    Pace::PerSecond(rate) => Duration::from_micros(number * 1_000_000 / rate),
                    Pace::AsFastAsAnswered => watch.elapsed(),
                };
                if due >= duration {
                    break;
                }
                // Prepared before it is due: what is measured is the node and not the generator.
                let request = make(first + number);
                if let Some(wait) = due.checked_sub(watch.elapsed()) {
                    pause(wait).await;
                }
                let sent = if matches!(pace, Pace::PerSecond(_)) { due } else { watch.elapsed() };
                match stream.exchange(&request).await? {
                    200 => outcome.latencies_us.push(micros(watch.elapsed().saturating_sub(sent))),
                    _ => outcome.refused += 1,
                }
            }
            Ok(outcome)
        });
    }
    let mut all = Outcome::default();
    while let Some(ended) = tasks.join_next().await {
        let outcome = ended.context("a connection of the load")??;
        all.latencies_us.extend(outcome.latencies_us);
        all.refused += outcome.refused;
    }
    all.elapsed = watch.elapsed();
    all.latencies_us.sort_unstable();
    Ok(all)
}

/// The status of one GET, or nothing if nobody answers.
pub(super) async fn status_of(port: u16, path: &str) -> Option<u16> {
    let mut stream = Stream::connect(port).await.ok()?;
    stream.exchange(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.ok()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

struct Stream {
    tcp: TcpStream,
    buffer: Vec<u8>,
}

impl Stream {
    async fn connect(port: u16) -> anyhow::Result<Stream> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        Ok(Stream { tcp, buffer: Vec::with_capacity(4096) })
    }

    /// Sends one request and reads its whole answer; answers the status.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.tcp.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.tcp.read_buf(&mut self.buffer).await? == 0 {
                bail!("the node closed a connection without an answer");
            }
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = std::str::from_utf8(&self.buffer[..end])?.to_ascii_lowercase();
                let status: u16 = head.get(9..12).context("a status line")?.parse()?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
                while self.buffer.len() < end + 4 + length {
                    if self.tcp.read_buf(&mut self.buffer).await? == 0 {
                        bail!("the node cut an answer");
                    }
                }
                return Ok(status);
            }
        }
    }
}
