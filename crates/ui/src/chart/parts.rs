//! Parts of a whole: at most six that the eye can tell apart, and the rest together.

use super::Series;

/// Most parts that are drawn by themselves.
pub const MAX_PARTS: usize = 6;
/// What the rest together is called.
pub const REST_NAME: &str = "All others";

/// The six largest series by the size of their values, largest first, and the others summed up where that makes sense
/// (amounts do; rates do not, and are left out). Up to six series stay in the order given.
pub fn largest_parts(mut series: Vec<Series>, sum_rest: bool) -> Vec<Series> {
    if series.len() <= MAX_PARTS {
        return series;
    }
    let size = |series: &Series| -> u128 {
        series.values.iter().flatten().map(|value| u128::from(value.unsigned_abs())).sum()
    };
    series.sort_by_key(|part| std::cmp::Reverse(size(part)));
    let rest = series.split_off(MAX_PARTS);
    if sum_rest {
        let length = rest.iter().map(|part| part.values.len()).max().unwrap_or(0);
        let values = (0..length)
            .map(|index| rest.iter().filter_map(|part| part.at(index)).reduce(|sum, value| sum.saturating_add(value)))
            .collect();
        series.push(Series::with_gaps(REST_NAME, values));
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_are_summed_up() {
        let series: Vec<Series> = (1..=9).map(|size| Series::new(size.to_string(), [size, -size])).collect();
        let parts = largest_parts(series.clone(), true);
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["9", "8", "7", "6", "5", "4", REST_NAME]);
        assert_eq!(parts[6].values, [Some(6), Some(-6)]);
        assert_eq!(largest_parts(series.clone(), false).len(), 6);
        let few = largest_parts(series[..3].to_vec(), true);
        assert_eq!(few.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
        let gaps = vec![Series::with_gaps("gap", vec![None]); 8];
        assert_eq!(largest_parts(gaps, true)[6].values, [None]);
    }
}
