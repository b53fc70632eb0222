//! What pages are made of. Every component is plain data that renders itself inside `html! { (component) }`.

mod badge;
mod button;
mod confirm;
mod definitions;
mod empty;
mod form;
mod notice;
mod paging;
mod payload;
mod problem;
mod progress;
mod source;
mod spans;
mod stat;
mod steps;
mod table;
mod value;

pub use badge::{Tone, badge};
pub use button::{Button, Kind, csrf, post_button};
pub use confirm::Confirm;
pub use definitions::{Definitions, card, columns, panel, section};
pub use empty::Empty;
pub use form::{Choice, Field, Form};
pub use notice::Notice;
pub use paging::{Pager, Tab, Tabs};
pub use payload::{MAX_PAYLOAD_BYTES, Payload};
pub use problem::Problem;
pub use progress::Progress;
pub use source::{explain, source};
pub use spans::{Fill, TimeBar, TimeBars, TimeSpan};
pub use stat::{Better, Change, Stat, stats};
pub use steps::{Happening, Step, StepState, Steps, Timeline};
pub use table::{Align, Column, Row, Table};
pub use value::{
    amount, bytes, code, copyable, count, date, duration, money, money_big, muted, none, percent, secret_once, text,
    time,
};
