//! Pieces of an experiment's Markdown page: means with ranges, and tables.

use std::fmt::Write as _;

/// Mean and range over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// Smallest.
    pub low: f64,
    /// Largest.
    pub high: f64,
}

impl Summary {
    /// Of some values; none of none.
    pub fn of(values: &[f64]) -> Option<Summary> {
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(Summary { mean: values.iter().sum::<f64>() / values.len() as f64, low, high })
    }
}

/// A number with two or three significant digits, as tables show it.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !size.is_finite() => value.to_string(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size < 1e-4 => format!("{value:.1e}"),
        size => format!("{value:.*}", (1 - size.log10().floor() as i32) as usize),
    }
}

/// `mean (low–high)`, the mean alone where there is but one value, and a dash where there is none.
pub fn mean_and_range(values: &[f64]) -> String {
    match Summary::of(values) {
        None => "–".into(),
        Some(s) if values.len() == 1 => number(s.mean),
        Some(s) => format!("{} ({}–{})", number(s.mean), number(s.low), number(s.high)),
    }
}

/// The median; of an even number the mean of the middle two, of none NaN.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

/// A Markdown table.
pub struct Table {
    text: String,
}

impl Table {
    /// With these titles of columns.
    pub fn new<S: AsRef<str>>(titles: &[S]) -> Self {
        let mut table = Table { text: String::new() };
        table.row(titles);
        table.text.push_str(&"|---".repeat(titles.len()));
        table.text.push_str("|\n");
        table
    }

    /// Adds a row.
    pub fn row<S: AsRef<str>>(&mut self, fields: &[S]) {
        for field in fields {
            let _ = write!(self.text, "| {} ", field.as_ref());
        }
        self.text.push_str("|\n");
    }

    /// The text, with an empty line after it.
    pub fn finish(self) -> String {
        self.text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        let shown: Vec<String> =
            [1234.5, 12.34, 1.234, 0.1234, 0.001234, 0.00001234, 0.0].into_iter().map(number).collect();
        assert_eq!(shown, ["1234", "12.3", "1.23", "0.12", "0.0012", "1.2e-5", "0"]);
        assert_eq!(mean_and_range(&[0.01, 0.03]), "0.020 (0.010–0.030)");
        assert_eq!([mean_and_range(&[2.0]), mean_and_range(&[])], ["2.00", "–"]);
    }

    #[test]
    fn medians_do_not_see_one_slow_block() {
        assert_eq!([median(&[3.0, 1.0, 90.0]), median(&[4.0, 2.0])], [3.0, 3.0]);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn tables_are_markdown() {
        let mut table = Table::new(&["a", "b"]);
        table.row(&["1", "2"]);
        assert_eq!(table.finish(), "| a | b |\n|---|---|\n| 1 | 2 |\n\n");
    }
}
