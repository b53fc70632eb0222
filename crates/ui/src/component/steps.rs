//! Steps of a task, and what happened to a thing over time.

use super::{Tone, time};
use crate::view::View;
use kit::Time;
use maud::{Markup, Render, html};

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Behind us.
    Done,
    /// The one to do now.
    Current,
    /// It went wrong and must be done again.
    Failed,
    /// Not yet.
    Ahead,
}

/// One step.
#[derive(Clone)]
pub struct Step {
    /// How it stands.
    pub state: StepState,
    /// What it is.
    pub title: String,
    /// What came of it, or what to do.
    pub text: Markup,
}

/// The steps of a task, in order.
#[derive(Clone)]
pub struct Steps(pub Vec<Step>);

impl Render for Steps {
    fn render(&self) -> Markup {
        html! {
            ol.steps {
                @for step in &self.0 {
                    @let (tone, word) = match step.state {
                        StepState::Done => (Tone::Good, "Done"),
                        StepState::Current => (Tone::Busy, "Now"),
                        StepState::Failed => (Tone::Bad, "Failed"),
                        StepState::Ahead => (Tone::Neutral, "Ahead"),
                    };
                    li.(tone.class()) aria-current=[(step.state == StepState::Current).then_some("step")] {
                        span.steps-sign { (tone.sign()) }
                        div { p.steps-title { (step.title) " " span.steps-word { (word) } } div.steps-text { (step.text) } }
                    }
                }
            }
        }
    }
}

/// One thing that happened.
#[derive(Clone)]
pub struct Happening {
    /// When.
    pub at: Time,
    /// How it went.
    pub tone: Tone,
    /// What, in a few words.
    pub title: String,
    /// More about it; may be empty.
    pub text: Markup,
}

/// What happened to a thing, newest or oldest first as given.
#[derive(Clone)]
pub struct Timeline<'a> {
    /// What happened.
    pub happenings: Vec<Happening>,
    /// How the person reads times.
    pub view: &'a View,
}

impl Render for Timeline<'_> {
    fn render(&self) -> Markup {
        html! {
            ol.steps.timeline {
                @for happening in &self.happenings {
                    li.(happening.tone.class()) {
                        span.steps-sign { (happening.tone.sign()) }
                        div {
                            p.steps-title { (happening.title) " " span.steps-word { (time(happening.at, self.view)) } }
                            div.steps-text { (happening.text) }
                        }
                    }
                }
            }
        }
    }
}
