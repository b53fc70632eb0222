//! A real Chromium, driven over its DevTools protocol through two pipes: messages of JSON, a zero byte between them.

use kit::clock::pause;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    ffi::OsString,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
};

/// Where the browser is, if not on the path.
const CHROMIUM: &str = "BURSAR_TEST_CHROMIUM";
/// Longest wait for one answer of the browser.
const PATIENCE: Duration = Duration::from_secs(30);

/// One page of a browser that nobody sees.
pub(crate) struct Browser {
    process: std::process::Child,
    to: pipe::Sender,
    from: pipe::Receiver,
    read: Vec<u8>,
    events: VecDeque<Value>,
    session: Option<String>,
    number: u64,
    _folder: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts it.
    ///
    /// # Panics
    /// If there is none: a console that was never looked at is not tested.
    pub(crate) async fn start() -> Browser {
        let program = std::env::var_os(CHROMIUM).unwrap_or_else(|| OsString::from("chromium"));
        let folder = tempfile::tempdir().unwrap();
        let fifo = |name: &str| {
            let path = folder.path().join(name);
            assert!(Command::new("mkfifo").arg(&path).status().is_ok_and(|made| made.success()), "a pipe can be made");
            path
        };
        let (into, out) = (fifo("into"), fifo("out"));
        // Opened both ways, so that neither side waits for the other to open.
        let to = pipe::OpenOptions::new().read_write(true).open_sender(&into).unwrap();
        let from = pipe::OpenOptions::new().read_write(true).open_receiver(&out).unwrap();
        let process = start(&program, &into, &out, folder.path());
        let mut browser = Browser {
            process,
            to,
            from,
            read: Vec::new(),
            events: VecDeque::new(),
            session: None,
            number: 0,
            _folder: folder,
        };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).await.unwrap();
        let number = self.number;
        let answer = async {
            loop {
                let message = self.next().await;
                if message["id"] == number {
                    return message;
                }
                if message["id"].is_null() {
                    self.events.push_back(message);
                }
            }
        };
        let answer = tokio::select! {
            answer = answer => answer,
            () = pause(PATIENCE) => panic!("the browser did not answer {method}; set {CHROMIUM} if it is not on the path"),
        };
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&message[..end]).unwrap();
            }
            let mut piece = vec![0; 64 * 1024];
            let length = self.from.read(&mut piece).await.unwrap();
            self.read.extend_from_slice(&piece[..length]);
        }
    }

    /// Goes to an address, as somebody who types it.
    pub(crate) async fn go(&mut self, address: &str) {
        let gone = self.ask("Page.navigate", json!({ "url": address })).await;
        assert!(gone["errorText"].is_null(), "{address}: {}", gone["errorText"]);
        self.until("the page to be there", "document.readyState === 'complete' && location.href !== 'about:blank'")
            .await;
    }

    /// What an expression is worth on the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let found = self.ask("Runtime.evaluate", asked).await;
        assert!(found["exceptionDetails"].is_null(), "{expression}: {}", found["exceptionDetails"]);
        found["result"]["value"].clone()
    }

    /// Waits until an expression holds.
    pub(crate) async fn until(&mut self, what: &str, expression: &str) {
        for _ in 0..600 {
            // While one page gives way to the next there is nothing to ask.
            let asked = json!({ "expression": expression, "returnByValue": true });
            if self.ask("Runtime.evaluate", asked).await["result"]["value"] == true {
                return;
            }
            pause(Duration::from_millis(50)).await;
        }
        let text = self.text().await;
        panic!("waited in vain for {what}; the page says: {text}");
    }

    /// The words on the page.
    pub(crate) async fn text(&mut self) -> String {
        self.value("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Types into a field and leaves it.
    pub(crate) async fn fill(&mut self, name: &str, text: &str) {
        let typed = format!(
            "(() => {{ const field = document.querySelector('[name={name}]'); field.focus(); field.value = {}; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }})); return true; }})()",
            json!(text)
        );
        assert_eq!(self.value(&typed).await, true);
    }

    /// Presses the first button or link with these words.
    pub(crate) async fn press(&mut self, words: &str) {
        let press = format!(
            "(() => {{ const all = [...document.querySelectorAll('main button, main a')]; \
             const found = all.find(it => it.innerText.trim() === {}); if (!found) return false; found.click(); return true; }})()",
            json!(words)
        );
        if self.value(&press).await != true {
            let text = self.text().await;
            panic!("there is nothing to press with the words `{words}`; the page says: {text}");
        }
    }

    /// Errors that the page's scripts met, and what the browser would not load.
    pub(crate) async fn complaints(&mut self) -> Vec<String> {
        // An answer comes after all events before it.
        self.value("1").await;
        let events = std::mem::take(&mut self.events);
        let complaints = events.iter().filter_map(|event| match event["method"].as_str()? {
            "Runtime.exceptionThrown" => Some(event["params"]["exceptionDetails"].to_string()),
            "Log.entryAdded" if event["params"]["entry"]["level"] == "error" => {
                Some(event["params"]["entry"].to_string())
            }
            _ => None,
        });
        complaints.collect()
    }
}

fn start(program: &OsString, into: &Path, out: &Path, folder: &Path) -> std::process::Child {
    // The browser reads from its third file and writes to its fourth. Containers have no sandbox for it to use, and it
    // sees our own pages only.
    Command::new("sh")
        .args(["-c", r#"into="$1"; out="$2"; shift 2; exec "$0" "$@" 3<"$into" 4>"$out""#])
        .arg(program)
        .args([into, out])
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--remote-debugging-pipe", "--window-size=1280,900", "--lang=en"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("`sh` starts")
}
