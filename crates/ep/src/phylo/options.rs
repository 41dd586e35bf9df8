//! Options of the tree commands that say what the model is.

use clap::Args;
use gfn_core::{Error, Result};
use gfn_phylo::{
    Alignment, BranchLengths, BranchPrior, CategoryRates, Frequencies, ModelSettings, SubstitutionModel,
};

/// The substitution model.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelOptions {
    /// JC69, K80, HKY85 or GTR, with +G4 (discrete Gamma) and +I (invariant sites) [default: JC69]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub model: Option<String>,
    /// Transition/transversion rate ratio of K80 and HKY85
    #[arg(long, help_heading = "Model", allow_negative_numbers = true)]
    pub kappa: Option<f64>,
    /// Frequencies of A,C,G,T (HKY85, GTR), or `empirical` to count them in the alignment
    #[arg(long, value_name = "A,C,G,T", help_heading = "Model", allow_hyphen_values = true)]
    pub frequencies: Option<String>,
    /// Exchangeabilities AC,AG,AT,CG,CT,GT of GTR
    #[arg(long, value_name = "AC,AG,AT,CG,CT,GT", help_heading = "Model", allow_hyphen_values = true)]
    pub rates: Option<String>,
    /// Shape of the Gamma distribution of rates (+G)
    #[arg(long, help_heading = "Model", allow_negative_numbers = true)]
    pub alpha: Option<f64>,
    /// What stands for a Gamma category: mean or median [default: mean]
    #[arg(long, value_name = "mean|median", help_heading = "Model")]
    pub gamma_categories: Option<String>,
    /// Proportion of invariant sites (+I)
    #[arg(long, help_heading = "Model", allow_negative_numbers = true)]
    pub pinv: Option<f64>,
}

impl ModelOptions {
    /// The model, with empirical frequencies counted in the alignment; `None` if no option was given.
    pub fn model(&self, alignment: &Alignment) -> Result<Option<SubstitutionModel>> {
        let Some(name) = &self.model else {
            let stray = [
                ("kappa", self.kappa.is_some()),
                ("frequencies", self.frequencies.is_some()),
                ("rates", self.rates.is_some()),
                ("alpha", self.alpha.is_some()),
                ("gamma-categories", self.gamma_categories.is_some()),
                ("pinv", self.pinv.is_some()),
            ];
            return match stray.iter().find(|(_, given)| *given) {
                None => Ok(None),
                Some((option, _)) => Err(Error::usage(
                    format!("--{option}"),
                    "a --model it belongs to",
                    "none",
                    "add for example --model HKY85",
                )),
            };
        };
        let mut settings: ModelSettings = name.parse()?;
        settings.kappa = self.kappa.or(settings.kappa);
        settings.alpha = self.alpha.or(settings.alpha);
        settings.pinv = self.pinv.or(settings.pinv);
        if let Some(text) = &self.frequencies {
            settings.frequencies = Some(if text.eq_ignore_ascii_case("empirical") {
                Frequencies::Empirical(gfn_phylo::EmpiricalWord::Empirical)
            } else {
                Frequencies::Given(numbers("frequencies", text)?)
            });
        }
        if let Some(text) = &self.rates {
            settings.rates = Some(numbers("rates", text)?);
        }
        if let Some(text) = &self.gamma_categories {
            settings.category_rates = Some(match text.as_str() {
                "mean" => CategoryRates::Mean,
                "median" => CategoryRates::Median,
                other => {
                    let found = format!("`{other}`");
                    return Err(Error::usage("--gamma-categories", "mean or median", found, "correct it"));
                }
            });
        }
        SubstitutionModel::new(&settings)?.with_frequencies_of(alignment).map(Some)
    }
}

/// Branch lengths.
#[derive(Debug, Clone, Default, Args)]
pub struct BranchOptions {
    /// One length for every branch, in expected substitutions per site [default: 0.1]
    #[arg(
        long,
        value_name = "LENGTH",
        help_heading = "Model",
        conflicts_with = "branch_bins",
        allow_negative_numbers = true
    )]
    pub branch_length: Option<f64>,
    /// Choose every branch length from bins: their number (equal prior mass), or the lengths themselves a,b,c
    #[arg(long, value_name = "K|LENGTHS", help_heading = "Model", allow_hyphen_values = true)]
    pub branch_bins: Option<String>,
    /// Prior on a branch length: exp:RATE, gamma:SHAPE,RATE or uniform:LONGEST [default: exp:10]
    #[arg(long, value_name = "PRIOR", help_heading = "Model", requires = "branch_bins")]
    pub branch_prior: Option<String>,
}

impl BranchOptions {
    /// The branch lengths; `None` if no option was given.
    pub fn branch_lengths(&self) -> Result<Option<BranchLengths>> {
        if let Some(length) = self.branch_length {
            return BranchLengths::fixed(length).map(Some);
        }
        let Some(bins) = &self.branch_bins else { return Ok(None) };
        let prior = BranchPrior::parse(self.branch_prior.as_deref().unwrap_or("exp:10"))?;
        if let Ok(count) = bins.trim().parse::<usize>() {
            return BranchLengths::quantile_bins(count, prior).map(Some);
        }
        let lengths: std::result::Result<Vec<f64>, _> = bins.split(',').map(|t| t.trim().parse()).collect();
        let lengths = lengths.map_err(|_| {
            Error::usage(
                "--branch-bins",
                "a number of bins, or lengths separated by commas",
                format!("`{bins}`"),
                "write for example --branch-bins 8, or --branch-bins 0.01,0.05,0.2",
            )
        })?;
        BranchLengths::density_bins(lengths, prior).map(Some)
    }
}

fn numbers<const N: usize>(option: &str, text: &str) -> Result<[f64; N]> {
    let values: std::result::Result<Vec<f64>, _> = text.split(',').map(|t| t.trim().parse()).collect();
    values.ok().and_then(|v| v.try_into().ok()).ok_or_else(|| {
        Error::usage(
            format!("--{option}"),
            format!("{N} numbers separated by commas"),
            format!("`{text}`"),
            "correct the option",
        )
    })
}
