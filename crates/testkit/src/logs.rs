//! What the program logs, caught, to prove that a secret is never among it.

use std::{
    io::Write,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// More than any test logs; beyond it the test fails rather than the machine.
const BOUND_BYTES: usize = 256 * 1024 * 1024;

static CAUGHT: OnceLock<Buffer> = OnceLock::new();

/// Everything logged in this process since this was made, by all its tests: they share one log, as threads and tasks
/// share it. Look for what must not be there, or for texts that only one test can cause.
#[derive(Clone, Debug)]
pub struct Logs {
    buffer: Buffer,
    start: usize,
}

impl Logs {
    /// Begins to watch, at level `debug` for everything.
    ///
    /// # Panics
    /// If something else in this process already takes the log.
    pub fn catch() -> Logs {
        let buffer = CAUGHT.get_or_init(|| {
            let buffer = Buffer::default();
            let subscriber = tracing_subscriber::fmt()
                .with_writer(buffer.clone())
                .with_ansi(false)
                .with_env_filter(EnvFilter::new("debug"))
                .finish();
            tracing::subscriber::set_global_default(subscriber).expect("nothing else takes this process's log");
            buffer
        });
        let start = buffer.bytes.lock().unwrap_or_else(PoisonError::into_inner).len();
        Logs { buffer: buffer.clone(), start }
    }

    /// The text since [`Logs::catch`].
    pub fn text(&self) -> String {
        let bytes = self.buffer.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes[self.start..]).into_owned()
    }

    /// Fails the test if `secret` was logged.
    #[track_caller]
    pub fn assert_absent(&self, secret: &str) {
        assert!(!secret.is_empty(), "the empty text is in every log");
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(secret)).count();
        // The lines themselves are not shown: a test's log is kept by others, and the secret may be a real one.
        assert_eq!(lines, 0, "a secret of {} characters stands in {lines} lines of the log", secret.len());
    }
}

#[derive(Clone, Debug, Default)]
struct Buffer {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Write for Buffer {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(bytes.len() < BOUND_BYTES, "the tests of this process logged more than {BOUND_BYTES} bytes");
        bytes.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Buffer;
    fn make_writer(&'a self) -> Buffer {
        self.clone()
    }
}
