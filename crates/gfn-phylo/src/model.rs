//! Substitution models: their names, their parameters, and the checks that every parameter passes once.

use std::fmt;
use std::str::FromStr;

use gfn_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::alignment_matrix::Alignment;
use crate::characters::state_set;

/// Sum of frequencies within which they are rescaled to one; beyond it they are refused.
const FREQUENCY_TOLERANCE: f64 = 1e-6;

/// The stationary distribution of a model, in the order A, C, G, T.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected four frequencies (A, C, G, T) or the word empirical")]
pub enum Frequencies {
    /// The four numbers; they sum to one.
    Given([f64; 4]),
    /// Still to be counted; see [`SubstitutionModel::with_frequencies_of`].
    Empirical(EmpiricalWord),
}

/// The word `empirical` in a settings file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmpiricalWord {
    /// Count the frequencies in the alignment.
    #[serde(rename = "empirical")]
    Empirical,
}

/// The exchangeabilities of a time-reversible model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateMatrix {
    /// All rates and frequencies equal (Jukes & Cantor 1969).
    Jc69,
    /// Transitions `kappa` times as fast as transversions, equal frequencies (Kimura 1980).
    K80 {
        /// Ratio of the rate of a transition to that of a transversion, > 0.
        kappa: f64,
    },
    /// As K80, with frequencies (Hasegawa, Kishino & Yano 1985).
    Hky85 {
        /// Ratio of the rate of a transition to that of a transversion, > 0.
        kappa: f64,
    },
    /// Six exchangeabilities AC, AG, AT, CG, CT, GT and frequencies (Tavaré 1986).
    Gtr {
        /// Exchangeabilities, > 0; only their ratios matter.
        rates: [f64; 6],
    },
}

/// The number that stands for each category of the discrete Gamma distribution (Yang 1994).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CategoryRates {
    /// The mean of the category.
    #[default]
    Mean,
    /// The median of the category, all rescaled to mean one.
    Median,
}

/// Rate variation among sites: K equally probable categories of a Gamma distribution of mean one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscreteGamma {
    /// Shape, > 0; the variance of the rates is 1/alpha.
    pub alpha: f64,
    /// Number of categories, 1 to 64.
    pub categories: usize,
    /// Mean or median of each category.
    pub category_rates: CategoryRates,
}

/// A time-reversible substitution model with all its parameters; always valid.
///
/// Text form, after IQ-TREE: `HKY85{2.5}+F{0.32,0.21,0.17,0.3}+G4{0.45}+I{0.25}`; braces hold kappa, the six rates,
/// the frequencies, alpha, and the proportion of invariant sites; `+F` alone means empirical frequencies, `+G4m{…}`
/// median categories. In files a model is a [`ModelSettings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ModelSettings", into = "ModelSettings")]
pub struct SubstitutionModel {
    rate_matrix: RateMatrix,
    frequencies: Frequencies,
    gamma: Option<DiscreteGamma>,
    pinv: f64,
}

/// The unchecked form of a model, as in settings files and on the command line.
///
/// `name` says what the model consists of (`JC69`, `K80`, `HKY85`, `GTR`, each with `+G4`, `+I` or both); every
/// parameter of a part that is named must be given, no other may be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Such as `HKY85+G4+I`.
    pub name: String,
    /// Transition/transversion rate ratio of K80 and HKY85.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kappa: Option<f64>,
    /// Frequencies of HKY85 and GTR: four numbers (A, C, G, T) or the word `empirical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequencies: Option<Frequencies>,
    /// Exchangeabilities of GTR: AC, AG, AT, CG, CT, GT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<[f64; 6]>,
    /// Shape of the Gamma distribution of rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// What stands for each Gamma category; the mean by default (Yang 1994, as PhyML and MrBayes do).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_rates: Option<CategoryRates>,
    /// Proportion of invariant sites, 0 ≤ pinv < 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinv: Option<f64>,
}

impl SubstitutionModel {
    /// JC69, the model without parameters.
    pub fn jc69() -> SubstitutionModel {
        SubstitutionModel {
            rate_matrix: RateMatrix::Jc69,
            frequencies: Frequencies::Given([0.25; 4]),
            gamma: None,
            pinv: 0.0,
        }
    }

    /// Checks settings and makes the model of them. Frequencies whose sum is within 1e-6 of one are rescaled.
    ///
    /// # Errors
    /// An unknown name, a parameter that is missing, out of range, or has no place in the model.
    pub fn new(settings: &ModelSettings) -> Result<SubstitutionModel> {
        let mut parts = settings.name.split('+').map(str::trim);
        let base = parts.next().unwrap_or("").to_ascii_uppercase();
        let mut n_categories = None;
        let mut invariant = false;
        for part in parts {
            let upper = part.to_ascii_uppercase();
            if upper == "I" && !invariant {
                invariant = true;
            } else if let Some(count) = upper.strip_prefix('G').filter(|_| n_categories.is_none()) {
                let count = if count.is_empty() { Ok(4) } else { count.parse() };
                match count {
                    Ok(count) if (1..=64).contains(&count) => n_categories = Some(count),
                    _ => return Err(bad("1 to 64 Gamma categories, as in +G4", &format!("+{part}"))),
                }
            } else {
                return Err(bad("at most one of each of +G4 and +I behind the name", &format!("+{part}")));
            }
        }
        let named = |name: &str| base == name;
        let rate_matrix = match base.as_str() {
            "JC69" | "JC" => RateMatrix::Jc69,
            "K80" | "K2P" => RateMatrix::K80 { kappa: positive("kappa", settings.kappa)? },
            "HKY85" | "HKY" => RateMatrix::Hky85 { kappa: positive("kappa", settings.kappa)? },
            "GTR" => {
                let rates = required("rates", settings.rates, "give AC, AG, AT, CG, CT, GT")?;
                for rate in rates {
                    positive("rates", Some(rate))?;
                }
                RateMatrix::Gtr { rates }
            }
            _ => return Err(bad("JC69, K80, HKY85 or GTR", &format!("'{base}'"))),
        };
        if settings.kappa.is_some() && (named("JC69") || named("JC") || named("GTR")) {
            return Err(no_place("kappa", &settings.name));
        }
        if settings.rates.is_some() && !named("GTR") {
            return Err(no_place("rates", &settings.name));
        }
        let frequencies = match rate_matrix {
            RateMatrix::Jc69 | RateMatrix::K80 { .. } => match settings.frequencies {
                None => Frequencies::Given([0.25; 4]),
                Some(Frequencies::Given(given)) if given == [0.25; 4] => Frequencies::Given(given),
                Some(_) => return Err(no_place("frequencies", &settings.name)),
            },
            _ => match required(
                "frequencies",
                settings.frequencies,
                "give the four frequencies of A, C, G, T, or the word empirical",
            )? {
                Frequencies::Given(given) => Frequencies::Given(checked_frequencies(given)?),
                empirical => empirical,
            },
        };
        let gamma = match n_categories {
            Some(categories) => {
                let alpha = positive("alpha", settings.alpha)?;
                let category_rates = settings.category_rates.unwrap_or_default();
                Some(DiscreteGamma { alpha, categories, category_rates })
            }
            None if settings.alpha.is_some() => return Err(no_place("alpha", &settings.name)),
            None if settings.category_rates.is_some() => {
                return Err(no_place("category_rates", &settings.name));
            }
            None => None,
        };
        let pinv = match (invariant, settings.pinv) {
            (false, None) => 0.0,
            (true, given) => required("pinv", given, "give the proportion of invariant sites")?,
            (false, Some(_)) => return Err(no_place("pinv", &settings.name)),
        };
        if !(0.0..1.0).contains(&pinv) {
            return Err(Error::usage("pinv", "0 ≤ pinv < 1", format!("{pinv}"), "correct the proportion"));
        }
        Ok(SubstitutionModel { rate_matrix, frequencies, gamma, pinv })
    }

    /// The same model with empirical frequencies replaced by those of an alignment; any other is returned unchanged.
    ///
    /// Each character counts one, shared evenly among the nucleotides it may stand for; gaps and missing data count
    /// nothing. Where data are split among clients the frequencies must come from the whole alignment: otherwise the
    /// clients' likelihoods belong to different models and do not multiply to the likelihood of the whole.
    ///
    /// # Errors
    /// A nucleotide that never occurs: its frequency would be 0, and the model would forbid it.
    pub fn with_frequencies_of(&self, alignment: &Alignment) -> Result<SubstitutionModel> {
        let Frequencies::Empirical(_) = self.frequencies else { return Ok(self.clone()) };
        let mut counts = [0.0; 4];
        for set in alignment.rows.iter().flatten().filter_map(|&byte| state_set(byte)) {
            if set != crate::ALL_STATES {
                for (state, count) in counts.iter_mut().enumerate() {
                    if set >> state & 1 == 1 {
                        *count += 1.0 / f64::from(set.count_ones());
                    }
                }
            }
        }
        let total: f64 = counts.iter().sum();
        let frequencies = checked_frequencies(counts.map(|count| count / total))?;
        Ok(SubstitutionModel { frequencies: Frequencies::Given(frequencies), ..self.clone() })
    }

    /// The exchangeabilities.
    pub fn rate_matrix(&self) -> RateMatrix {
        self.rate_matrix
    }

    /// The stationary distribution (A, C, G, T), all > 0, sum one.
    ///
    /// # Errors
    /// Frequencies that are still to be counted.
    pub fn frequencies(&self) -> Result<[f64; 4]> {
        match self.frequencies {
            Frequencies::Given(frequencies) => Ok(frequencies),
            Frequencies::Empirical(_) => Err(Error::usage(
                "frequencies",
                "four numbers",
                "empirical frequencies that were not counted yet",
                "count them in the whole alignment first",
            )),
        }
    }

    /// Rate variation among sites, if any.
    pub fn gamma(&self) -> Option<DiscreteGamma> {
        self.gamma
    }

    /// The proportion of invariant sites, 0 without `+I`.
    pub fn pinv(&self) -> f64 {
        self.pinv
    }

    /// The name without parameters, such as `HKY85+G4+I`.
    pub fn name(&self) -> String {
        let mut name = String::from(match self.rate_matrix {
            RateMatrix::Jc69 => "JC69",
            RateMatrix::K80 { .. } => "K80",
            RateMatrix::Hky85 { .. } => "HKY85",
            RateMatrix::Gtr { .. } => "GTR",
        });
        if let Some(gamma) = self.gamma {
            name += &format!("+G{}", gamma.categories);
        }
        if self.pinv > 0.0 {
            name += "+I";
        }
        name
    }
}

fn bad(expected: &str, found: &str) -> Error {
    Error::usage("model", expected, found, "correct the name of the model, such as HKY85+G4+I")
}

fn no_place(parameter: &str, model: &str) -> Error {
    let advice = "leave the parameter out, or name the model that has it";
    Error::usage(parameter, format!("no such parameter of {model}"), "a value for it", advice)
}

fn required<T>(parameter: &str, value: Option<T>, advice: &str) -> Result<T> {
    value.ok_or_else(|| Error::usage(parameter, "a value", "none", advice))
}

fn positive(parameter: &str, value: Option<f64>) -> Result<f64> {
    let value = required(parameter, value, "give the parameter, or choose a model without it")?;
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(Error::usage(parameter, "a positive number", format!("{value}"), "correct the parameter"))
}

fn checked_frequencies(frequencies: [f64; 4]) -> Result<[f64; 4]> {
    if let Some(state) = frequencies.iter().position(|&frequency| !(frequency.is_finite() && frequency > 0.0))
    {
        return Err(Error::usage(
            "frequencies",
            "four positive numbers",
            format!("{} for {}", frequencies[state], crate::STATE_LETTERS[state] as char),
            "give frequencies by hand, or choose JC69 or K80, which have none",
        ));
    }
    let sum: f64 = frequencies.iter().sum();
    if (sum - 1.0).abs() > FREQUENCY_TOLERANCE {
        return Err(Error::usage(
            "frequencies",
            "four numbers of sum 1",
            format!("sum {sum}"),
            "divide them by their sum",
        ));
    }
    Ok(frequencies.map(|frequency| frequency / sum))
}

impl TryFrom<ModelSettings> for SubstitutionModel {
    type Error = Error;

    fn try_from(settings: ModelSettings) -> Result<SubstitutionModel> {
        SubstitutionModel::new(&settings)
    }
}

impl From<SubstitutionModel> for ModelSettings {
    fn from(model: SubstitutionModel) -> ModelSettings {
        let mut settings = ModelSettings {
            name: model.name(),
            alpha: model.gamma.map(|gamma| gamma.alpha),
            category_rates: model.gamma.map(|gamma| gamma.category_rates),
            pinv: (model.pinv > 0.0).then_some(model.pinv),
            ..ModelSettings::default()
        };
        match model.rate_matrix {
            RateMatrix::Jc69 => {}
            RateMatrix::K80 { kappa } => settings.kappa = Some(kappa),
            RateMatrix::Hky85 { kappa } => {
                settings.kappa = Some(kappa);
                settings.frequencies = Some(model.frequencies);
            }
            RateMatrix::Gtr { rates } => {
                settings.rates = Some(rates);
                settings.frequencies = Some(model.frequencies);
            }
        }
        settings
    }
}

/// The text form with parameters, which reads back to the same model.
impl fmt::Display for SubstitutionModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        match self.rate_matrix {
            RateMatrix::Jc69 => write!(f, "JC69")?,
            RateMatrix::K80 { kappa } => write!(f, "K80{{{kappa}}}")?,
            RateMatrix::Hky85 { kappa } => write!(f, "HKY85{{{kappa}}}")?,
            RateMatrix::Gtr { rates } => write!(f, "GTR{{{}}}", list(&rates))?,
        }
        match (self.rate_matrix, self.frequencies) {
            (RateMatrix::Jc69 | RateMatrix::K80 { .. }, _) => {}
            (_, Frequencies::Given(frequencies)) => write!(f, "+F{{{}}}", list(&frequencies))?,
            (_, Frequencies::Empirical(_)) => write!(f, "+F")?,
        }
        if let Some(gamma) = self.gamma {
            let median = if gamma.category_rates == CategoryRates::Median { "m" } else { "" };
            write!(f, "+G{}{median}{{{}}}", gamma.categories, gamma.alpha)?;
        }
        if self.pinv > 0.0 {
            write!(f, "+I{{{}}}", self.pinv)?;
        }
        Ok(())
    }
}

impl FromStr for ModelSettings {
    type Err = Error;

    /// Reads the text form; what is not in the text stays empty, to be filled in from other settings.
    fn from_str(text: &str) -> Result<ModelSettings> {
        let mut settings = ModelSettings::default();
        for (index, part) in text.split('+').map(str::trim).enumerate() {
            let (word, values) = match part.split_once('{') {
                Some((word, rest)) => {
                    let inner = rest.strip_suffix('}').ok_or_else(|| bad("a closing brace", part))?;
                    let values: std::result::Result<Vec<f64>, _> =
                        inner.split(',').map(|value| value.trim().parse()).collect();
                    (word, Some(values.map_err(|_| bad("numbers in braces", part))?))
                }
                None => (part, None),
            };
            let mut upper = word.to_ascii_uppercase();
            let one = |values: &[f64]| match values {
                [value] => Ok(*value),
                _ => Err(bad("one number in braces", part)),
            };
            if index > 0 && upper == "F" {
                settings.frequencies = Some(match values {
                    Some(values) => Frequencies::Given(
                        values.try_into().map_err(|_| bad("four frequencies A, C, G, T in braces", part))?,
                    ),
                    None => Frequencies::Empirical(EmpiricalWord::Empirical),
                });
                continue;
            }
            if index > 0 && upper.starts_with('G') && upper.ends_with('M') {
                upper.pop();
                settings.category_rates = Some(CategoryRates::Median);
            }
            match (values, index, upper.chars().next()) {
                (None, ..) => {}
                (Some(values), 0, Some('G')) => {
                    settings.rates =
                        Some(values.try_into().map_err(|_| bad("six rates AC, AG, AT, CG, CT, GT", part))?);
                }
                (Some(values), 0, _) => settings.kappa = Some(one(&values)?),
                (Some(values), _, Some('G')) => settings.alpha = Some(one(&values)?),
                (Some(values), _, _) => settings.pinv = Some(one(&values)?),
            }
            settings.name += if index > 0 { "+" } else { "" };
            settings.name += &upper;
        }
        Ok(settings)
    }
}

impl FromStr for SubstitutionModel {
    type Err = Error;

    /// Reads the text form with all parameters, such as `K80{4}+G4{0.5}`.
    fn from_str(text: &str) -> Result<SubstitutionModel> {
        SubstitutionModel::new(&text.parse()?)
    }
}
