//! By what something is known, or why it is not, in words, with what to do.

use serde::Serialize;

/// By what something is known, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Every object made then was listed.
    Listed,
    /// The event list was read to its end.
    Events,
    /// The same, for a kind of which events tell a part; the rest is seen with its neighbours, and in samples.
    EventsInPart,
    /// Listed at intervals, since no event tells of them.
    ListedRegularly,
    /// Webhooks told of it; the event list is read within a quarter of an hour.
    Webhooks,
    /// Nothing tells of it before the event list is read, within a quarter of an hour.
    NextReading,
    /// Events are known and wait to take effect.
    EventsWaiting,
    /// Older than the connection's days of history.
    Lookback,
    /// Not begun.
    NotBegun,
    /// Being read.
    Reading,
    /// The key may not read the kind.
    Forbidden,
    /// Stripe kept answering that there were too many calls.
    Throttled,
    /// Stripe refused or failed to list it.
    Failed,
    /// The key may not read the event list.
    EventsForbidden,
    /// Stripe refuses the key.
    KeyRefused,
    /// The connection was ended.
    Disconnected,
    /// The event list was not read for too long.
    Behind,
    /// Not read for longer than Stripe keeps events.
    Downtime,
    /// Events were given up after all tries.
    EventsGivenUp,
}

impl Why {
    /// In a few words, for a page.
    pub fn words(self) -> &'static str {
        match self {
            Why::Listed => "listed to the end",
            Why::Events => "kept up by the event list",
            Why::EventsInPart => "kept up by events, which tell of a part",
            Why::ListedRegularly => "listed regularly",
            Why::Webhooks => "told by webhooks, proved at the next reading",
            Why::NextReading => "proved at the next reading",
            Why::EventsWaiting => "events wait to take effect",
            Why::Lookback => "older than the days of history asked for",
            Why::NotBegun => "not read yet",
            Why::Reading => "being read",
            Why::Forbidden => "the key may not read it",
            Why::Throttled => "Stripe answered that there were too many calls",
            Why::Failed => "Stripe could not list it",
            Why::EventsForbidden => "the key may not read the event list",
            Why::KeyRefused => "Stripe refuses the key",
            Why::Disconnected => "the connection was ended",
            Why::Behind => "the event list was not read lately",
            Why::Downtime => "away for longer than Stripe keeps events",
            Why::EventsGivenUp => "events were given up",
        }
    }

    /// What a person does about it; nothing where Bursar sees to it, or there is nothing to see to.
    pub fn what_to_do(self) -> Option<&'static str> {
        match self {
            Why::Listed | Why::Events | Why::EventsInPart | Why::ListedRegularly | Why::Webhooks | Why::NextReading => {
                None
            }
            Why::EventsWaiting => Some("Nothing: they take effect in a moment. If they do not, look at the inbox."),
            Why::Lookback => Some("To have it too, raise the days of history and run a full sync."),
            Why::NotBegun => Some("Nothing: the first sync begins by itself."),
            Why::Reading => Some("Nothing: it goes on by itself, after a stop too."),
            Why::Forbidden => Some("Give the key the permission that its report names; the next sync reads it then."),
            Why::Throttled => Some(
                "Nothing: it is tried again alone with the next sync. If it lasts, see what else uses the account’s limit.",
            ),
            Why::Failed => Some("See the reason; it is tried again with the next sync."),
            Why::EventsForbidden => Some("Give the key Events: Read, then run a full sync."),
            Why::KeyRefused => Some("Replace the key; what was missed is found then."),
            Why::Disconnected => Some("Connect the account again to go on."),
            Why::Behind => Some("See why syncs do not run: Stripe may be away, or no worker is at work."),
            Why::Downtime => Some("Run a full sync: it lists everything again."),
            Why::EventsGivenUp => Some("Look at the events that were given up, and replay them."),
        }
    }
}
