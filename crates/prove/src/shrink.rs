//! The shortest failing run that can be found: parts of the steps are left out as long as the rest still fails.

use crate::step::Step;
use kit::Stopwatch;
use std::time::Duration;

/// Leaves out ever smaller parts of `steps` while `fails` says that what remains still does; ends when no single step
/// can go, or when `patience` is over. What is answered did fail.
///
/// This is delta debugging with complements only: a part alone rarely fails, since most failures need their beginning.
pub(crate) async fn shrink<Fails>(steps: Vec<Step>, patience: Duration, mut fails: Fails) -> Vec<Step>
where
    Fails: AsyncFnMut(&[Step]) -> bool,
{
    let watch = Stopwatch::start();
    let mut kept = steps;
    let mut part = kept.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let mut any = false;
        while from < kept.len() {
            if watch.elapsed() > patience {
                return kept;
            }
            let until = (from + part).min(kept.len());
            let rest: Vec<Step> = kept[..from].iter().chain(&kept[until..]).cloned().collect();
            if !rest.is_empty() && fails(&rest).await {
                kept = rest;
                any = true;
            } else {
                from = until;
            }
        }
        match part {
            1 if !any => return kept,
            1 => {}
            _ => part = part.div_ceil(2),
        }
    }
}

/// `3,17-19`: numbers of steps, for the command that plays them again.
pub fn numbers(steps: &[Step]) -> String {
    let mut text = String::new();
    let mut place = 0;
    while place < steps.len() {
        let first = steps[place].number;
        let mut last = first;
        while place + 1 < steps.len() && steps[place + 1].number == last + 1 {
            place += 1;
            last = steps[place].number;
        }
        place += 1;
        let separator = if text.is_empty() { "" } else { "," };
        text += &if first == last { format!("{separator}{first}") } else { format!("{separator}{first}-{last}") };
    }
    text
}

/// Reads what [`numbers`] wrote; none for what is no such list.
pub fn read_numbers(text: &str) -> Option<Vec<(u32, u32)>> {
    text.split(',')
        .map(|part| {
            let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some((first, last))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::generate;

    #[test]
    fn numbers_are_written_and_read() {
        let steps: Vec<Step> =
            generate(1, 20, 0).into_iter().filter(|step| !matches!(step.number, 3 | 7 | 8)).collect();
        assert_eq!(numbers(&steps), "0-2,4-6,9-19");
        assert_eq!(read_numbers("0-2,4, 9-19"), Some(vec![(0, 2), (4, 4), (9, 19)]));
        assert_eq!((read_numbers("x"), read_numbers("5-3")), (None, None));
    }

    #[tokio::test]
    async fn what_is_left_is_what_it_takes() {
        let steps = generate(3, 400, 0);
        let mut tries = 0;
        let needed = [17, 180, 399];
        let left = shrink(steps, Duration::from_secs(60), async |steps: &[Step]| {
            tries += 1;
            needed.iter().all(|number| steps.iter().any(|step| step.number == *number))
        })
        .await;
        assert_eq!(left.iter().map(|step| step.number).collect::<Vec<_>>(), needed);
        assert!(tries < 120, "{tries} tries");
    }
}
