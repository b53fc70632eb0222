//! Stories of the inbox, on both engines.

mod api;
mod door;
mod pages;
mod processing;
mod replaying;
mod statements;
mod world;
