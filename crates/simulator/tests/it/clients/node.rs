//! The Node client.

use super::{all_objects_fit, installed, run, scripts, stage};
use tokio::process::Command;

#[tokio::test]
async fn the_node_client_cannot_tell() {
    let folder = installed("node");
    let stage = stage().await;
    let cases =
        run(&stage, Command::new("node").arg(scripts("node").join("run.mjs")).env("CLIENTS_FOLDER", folder)).await;
    assert!(cases.len() > 30, "only {} cases ran", cases.len());
    all_objects_fit(&stage).await;
}
