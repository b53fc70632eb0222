//! The Python client.

use super::{all_objects_fit, installed, run, scripts, stage};
use tokio::process::Command;

#[tokio::test]
async fn the_python_client_cannot_tell() {
    let folder = installed("python");
    let stage = stage().await;
    let mut python = Command::new("python3");
    // Without its own folders of packages and without leaving compiled files beside the scripts.
    python.args(["-s", "-B"]).arg(scripts("python").join("run.py")).env("PYTHONPATH", folder);
    let cases = run(&stage, &mut python).await;
    assert!(cases.len() > 20, "only {} cases ran", cases.len());
    all_objects_fit(&stage).await;
}
