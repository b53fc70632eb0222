//! Pages of lists: cursors, ranges, filters, and the text around the objects.

use crate::{
    parameters::Parameters,
    problem::Refusal,
    resources::{Call, Kind},
    table::{From, Page, Query, Test},
};
use serde_json::Value;

const LIMIT_DEFAULT: i64 = 10;
const LIMIT_MAX: i64 = 100;

pub(super) fn list_query(book: &crate::book::Book, kind: Kind, call: &mut Call) -> Result<Query, Refusal> {
    let limit = call.parameters.take("limit").and_then(|limit| limit.as_i64()).unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refusal::bad(format!("This value must be between 1 and {LIMIT_MAX}."))
            .code("parameter_invalid_integer")
            .param("limit"));
    }
    let after = call.parameters.take("starting_after");
    let before = call.parameters.take("ending_before");
    let place = |id: &Value, param: &str| {
        let id = id.as_str().unwrap_or_default();
        book.table(kind).place(id).ok_or_else(|| Refusal::no_such(kind.object(), id, Some(param)))
    };
    let from = match (after.filter(|id| !id.is_null()), before.filter(|id| !id.is_null())) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad("You may only specify one of these parameters: ending_before, starting_after.")
                .param("ending_before"));
        }
        (Some(id), None) => From::After(place(&id, "starting_after")?),
        (None, Some(id)) => From::Before(place(&id, "ending_before")?),
        (None, None) => From::Newest,
    };
    let created = call.parameters.take("created").map_or((i64::MIN, i64::MAX), |created| range(&created));
    Ok(Query { limit: usize::try_from(limit).unwrap_or(10), from, created, tests: Vec::new() })
}

/// From and to, both included, of a time or a range of times.
pub(crate) fn range(times: &Value) -> (i64, i64) {
    if let Some(exact) = times.as_i64() {
        return (exact, exact);
    }
    let bound = |name: &str| times[name].as_i64();
    let low = [bound("gte"), bound("gt").map(|second| second.saturating_add(1))].into_iter().flatten().max();
    let high = [bound("lte"), bound("lt").map(|second| second.saturating_sub(1))].into_iter().flatten().min();
    (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX))
}

/// Every parameter that is left is a filter on the facet of its name.
pub(super) fn add_filters(
    book: &crate::book::Book,
    kind: Kind,
    parameters: &Parameters,
    query: &mut Query,
) -> Result<(), Refusal> {
    let table = book.table(kind);
    for (name, value) in parameters.all() {
        let mut given = Vec::new();
        match value {
            Value::Object(members) if table.facet(name).is_none() => {
                given.extend(members.iter().map(|(member, value)| (format!("{name}[{member}]"), value)));
            }
            value => given.push((name.clone(), value)),
        }
        for (name, value) in given {
            let facet = table.facet(&name).ok_or_else(|| {
                Refusal::bad(format!("The simulator does not filter this list by {name}.")).param(name.as_str())
            })?;
            query.tests.push(match value {
                Value::String(text) => Test::Is(facet, text.clone()),
                Value::Bool(yes) => Test::Is(facet, yes.to_string()),
                Value::Object(_) | Value::Number(_) => {
                    let (from, to) = range(value);
                    Test::Within(facet, from, to)
                }
                _ => continue,
            });
        }
    }
    Ok(())
}

/// `{object: "list", …}` around the texts of a page.
pub(super) fn list_text(path: &str, page: &Page) -> String {
    let size: usize = page.texts.iter().map(|text| text.len() + 1).sum();
    let mut out = String::with_capacity(size + path.len() + 80);
    out.push_str("{\"object\":\"list\",\"url\":");
    crate::json::Json::write(path, &mut out);
    out.push_str(if page.has_more { ",\"has_more\":true,\"data\":[" } else { ",\"has_more\":false,\"data\":[" });
    for (at, text) in page.texts.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(text);
    }
    out.push_str("]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(range(&json!(5)), (5, 5));
        assert_eq!(range(&json!({"gt": 5, "lt": 9})), (6, 8));
        assert_eq!(range(&json!({"gte": 5})), (5, i64::MAX));
        assert_eq!(range(&json!({"gte": 5, "gt": 7, "lte": 3})), (8, 3));
    }
}
