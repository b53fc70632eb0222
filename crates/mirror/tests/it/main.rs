//! The mirror's promises as stories, on both engines and against the simulator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod absorbing;
mod following;
mod health;
mod pages;
mod syncing;
mod world;

use testkit::Stage;

testkit::on_both_engines!(every_statement_prepares);

async fn every_statement_prepares(stage: Stage) {
    // Linking the mirror in is what registers its statements.
    let _ = mirror::WAKE;
    match stage.store.prepare_all().await {
        Ok(prepared) => assert!(prepared > 40, "only {prepared} statements were found"),
        Err(failures) => panic!("{}", failures.join("\n")),
    }
}
