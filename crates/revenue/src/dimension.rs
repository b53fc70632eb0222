//! What a day's charges were for: by product, and by each of the user's own fields. Pure.

use crate::sale::SoldLine;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most values that are kept of one dimension of one day; the others are summed up.
pub const MAX_VALUES: usize = 20;
/// Most metadata keys that are kept of one day: those that most charges have.
pub const MAX_KEYS: usize = 50;
/// All charges together, whatever they were for.
pub const ALL: &str = "all";
/// By product id; the empty value is what no product is known for.
pub const PRODUCT: &str = "product";
/// Before the key of a dimension of the user's own.
pub const METADATA: &str = "metadata.";

/// One charge, and what it was for.
#[derive(Clone, Debug)]
pub struct ChargeSold<'a> {
    /// Taken, in minor units.
    pub amount_minor: i64,
    /// The user's own fields as JSON text.
    pub metadata: Option<&'a str>,
    /// The lines of the invoices that it pays; none where it pays none.
    pub lines: Vec<SoldLine>,
}

/// How much of a day came from one value of a dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Taken, in minor units.
    pub amount_minor: i64,
    /// How many were sold: quantities of invoice lines, and one for each charge without an invoice.
    pub units: i64,
    /// How many charges.
    pub charges: i64,
}

/// One row of a day's dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionRow {
    /// [`ALL`], [`PRODUCT`], or [`METADATA`] and a key.
    pub dimension: String,
    /// The value; none for all values that are not among the largest.
    pub value: Option<String>,
    /// How much.
    pub part: Part,
}

/// What a day's charges in one currency were for. The order of the charges does not matter.
pub fn dimensions_of<'a>(charges: impl IntoIterator<Item = ChargeSold<'a>>) -> Vec<DimensionRow> {
    let mut all = Part::default();
    let mut products: BTreeMap<String, Part> = BTreeMap::new();
    let mut fields: BTreeMap<String, BTreeMap<String, Part>> = BTreeMap::new();
    for charge in charges {
        let units = if charge.lines.is_empty() { 1 } else { charge.lines.iter().map(|line| line.quantity).sum() };
        add(&mut all, charge.amount_minor, units);
        for (product, amount_minor, units) in shared_out(charge.amount_minor, &charge.lines) {
            add(products.entry(product).or_default(), amount_minor, units);
        }
        // Stripe's metadata is a flat object of texts; what is not cannot be grouped by.
        let metadata = charge.metadata.and_then(|text| serde_json::from_str::<BTreeMap<String, Value>>(text).ok());
        for (key, value) in metadata.unwrap_or_default() {
            let value = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let values = fields.entry(storable(key)).or_default();
            add(values.entry(storable(value)).or_default(), charge.amount_minor, units);
        }
    }
    if all.charges == 0 {
        return Vec::new();
    }
    let mut rows = vec![DimensionRow { dimension: ALL.to_owned(), value: Some(String::new()), part: all }];
    rows.extend(largest(PRODUCT, products));
    let mut fields: Vec<(String, BTreeMap<String, Part>)> = fields.into_iter().collect();
    fields.sort_by_key(|(_, values)| std::cmp::Reverse(values.values().map(|part| part.charges).sum::<i64>()));
    for (key, values) in fields.into_iter().take(MAX_KEYS) {
        rows.extend(largest(&format!("{METADATA}{key}"), values));
    }
    rows
}

fn add(part: &mut Part, amount_minor: i64, units: i64) {
    part.amount_minor = part.amount_minor.saturating_add(amount_minor);
    part.units = part.units.saturating_add(units);
    part.charges += 1;
}

/// PostgreSQL keeps no zero character in texts.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// The largest values by amount and then by name, and the others together.
fn largest(dimension: &str, values: BTreeMap<String, Part>) -> Vec<DimensionRow> {
    let mut values: Vec<(String, Part)> = values.into_iter().collect();
    // Stable, so that equal amounts stay in the order of their names.
    values.sort_by_key(|(_, part)| std::cmp::Reverse(part.amount_minor));
    let others = values.split_off(values.len().min(MAX_VALUES));
    let row = |value, part| DimensionRow { dimension: dimension.to_owned(), value, part };
    let mut rows: Vec<DimensionRow> = values.into_iter().map(|(value, part)| row(Some(value), part)).collect();
    if !others.is_empty() {
        let mut rest = Part::default();
        for (_, part) in others {
            rest.amount_minor = rest.amount_minor.saturating_add(part.amount_minor);
            rest.units = rest.units.saturating_add(part.units);
            rest.charges += part.charges;
        }
        rows.push(row(None, rest));
    }
    rows
}

/// Shares a charge out over the products of its invoices' lines, by their amounts, to the last minor unit. Taxes and what
/// else stands between lines and charge goes with them in proportion. Answers product, amount and units; one entry for
/// each product.
pub fn shared_out(amount_minor: i64, lines: &[SoldLine]) -> Vec<(String, i64, i64)> {
    let total: i128 = lines.iter().map(|line| i128::from(line.amount_minor)).sum();
    if total <= 0 {
        let units = if lines.is_empty() { 1 } else { lines.iter().map(|line| line.quantity).sum() };
        let one = lines.first().map(|line| &line.product).filter(|one| lines.iter().all(|line| line.product == **one));
        return vec![(one.cloned().unwrap_or_default(), amount_minor, units)];
    }
    let mut by_product: BTreeMap<&str, (i128, i64)> = BTreeMap::new();
    for line in lines {
        let part = by_product.entry(&line.product).or_default();
        part.0 += i128::from(line.amount_minor);
        part.1 = part.1.saturating_add(line.quantity);
    }
    // Rounding the running sum instead of each part leaves nothing over, and does not depend on the lines' order.
    let (mut weight_so_far, mut shared_so_far) = (0_i128, 0_i128);
    let mut parts = Vec::with_capacity(by_product.len());
    for (product, (weight, units)) in by_product {
        weight_so_far += weight;
        let shared = (i128::from(amount_minor) * weight_so_far).div_euclid(total);
        parts.push((product.to_owned(), i64::try_from(shared - shared_so_far).unwrap_or(0), units));
        shared_so_far = shared;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(product: &str, amount_minor: i64, quantity: i64) -> SoldLine {
        SoldLine { product: product.to_owned(), amount_minor, quantity }
    }

    fn told(parts: &[(String, i64, i64)]) -> String {
        parts.iter().map(|(product, amount, units)| format!("{product}={amount}x{units}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_charge_is_shared_out_over_what_it_pays() {
        let check = |amount, lines: &[SoldLine], expected: &str| assert_eq!(told(&shared_out(amount, lines)), expected);
        check(1_000, &[], "=1000x1");
        check(1_000, &[line("a", 1_000, 2)], "a=1000x2");
        check(1_190, &[line("a", 600, 1), line("b", 400, 1)], "a=714x1 b=476x1");
        check(100, &[line("a", 1, 1), line("b", 1, 1), line("c", 1, 1)], "a=33x1 b=33x1 c=34x1");
        check(900, &[line("a", 1_000, 1), line("a", -100, 1)], "a=900x2");
        check(500, &[line("a", 1_000, 1), line("b", -500, 1)], "a=1000x1 b=-500x1");
        check(50, &[line("a", 0, 3)], "a=50x3");
        check(50, &[line("a", 100, 1), line("b", -100, 1)], "=50x2");
    }

    #[test]
    fn large_values_stand_alone_and_the_others_together() {
        let texts: Vec<String> =
            (0..30).map(|number| format!(r#"{{"plan":"p{number:02}","zero":"\u0000"}}"#)).collect();
        let charges = texts.iter().enumerate().map(|(number, text)| ChargeSold {
            amount_minor: 100 + i64::try_from(number).unwrap(),
            metadata: Some(text),
            lines: Vec::new(),
        });
        let rows = dimensions_of(charges);
        let plans: Vec<&DimensionRow> = rows.iter().filter(|row| row.dimension == "metadata.plan").collect();
        assert_eq!(plans.len(), MAX_VALUES + 1);
        assert_eq!(plans[0].value.as_deref(), Some("p29"));
        assert_eq!(plans[20].value, None);
        assert_eq!(plans[20].part.charges, 10);
        assert!(rows.iter().any(|row| row.dimension == "metadata.zero" && row.value.as_deref() == Some("\u{fffd}")));
        let total: i64 = plans.iter().map(|row| row.part.amount_minor).sum();
        assert_eq!(total, rows[0].part.amount_minor);
    }

    proptest! {
        #[test]
        fn nothing_is_left_over(amount in 0_i64..10_000_000_000, lines in proptest::collection::vec((0_usize..5, -1_000_000_i64..10_000_000), 0..12)) {
            let lines: Vec<SoldLine> = lines.iter().map(|(product, amount)| line(["", "a", "b", "c", "d"][*product], *amount, 1)).collect();
            let mut turned = lines.clone();
            turned.reverse();
            let parts = shared_out(amount, &lines);
            prop_assert_eq!(parts.iter().map(|part| part.1).sum::<i64>(), amount);
            prop_assert_eq!(parts, shared_out(amount, &turned));
        }
    }
}
