//! Options of the network commands that say what the model is.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use gfn_bn::data::Schema;
use gfn_bn::{BgeSettings, Combine, GraphPrior, Knowledge, NetworkSettings, PriorMean, ScoreSettings};
use gfn_core::losses::Balance;
use gfn_core::{Error, Place, Result};

use crate::files::{input_file, read_text};

/// What several sites mean together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CombineOption {
    /// One graph, separate parameters at every site; policies travel
    Product,
    /// One graph, the same parameters everywhere; sufficient statistics travel
    Pooled,
}

/// What the rows are centred by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CenterOption {
    /// The rows of each site around that site's mean
    Site,
}

/// The score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreOption {
    /// Numbers: Gaussian networks with a normal-Wishart prior
    Bge,
    /// Categories: Dirichlet prior of an equivalent sample size
    Bdeu,
    /// Categories: uniform Dirichlet prior (not score equivalent)
    K2,
    /// Categories: Jeffreys' prior (not score equivalent)
    Jeffreys,
    /// Numbers, or categories where --levels or --columns say so: no prior on parameters
    Bic,
}

/// The prior mean of BGe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NuOption {
    /// ν = 0
    Zero,
    /// ν is the mean of the data
    Mean,
}

/// A loss of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientLoss {
    /// Modified detailed balance, over single transitions
    ModifiedDetailed,
    /// Contrastive balance, over pairs of trajectories
    Contrastive,
    /// Trajectory balance, with a learned log Z
    Trajectory,
}

/// A loss of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServerLoss {
    /// Aggregating balance, over trajectories
    Contrastive,
    /// Aggregated modified detailed balance, over single transitions
    ModifiedDetailed,
}

/// How tables are read and scored: what `ep bn score` and `ep bn check` need.
#[derive(Debug, Clone, Default, Args)]
pub struct ScoreOptions {
    /// What several sites mean together [default: product]
    #[arg(long, value_name = "HOW", help_heading = "Model")]
    pub combine: Option<CombineOption>,
    /// With --combine pooled: the rows of each site around its own mean, for sites that differ in their means
    #[arg(long, value_name = "BY", help_heading = "Model")]
    pub center: Option<CenterOption>,
    /// The score [default: bge]
    #[arg(long, value_name = "SCORE", help_heading = "Model")]
    pub score: Option<ScoreOption>,
    /// BGe: weight of the prior mean in rows [default: 1]
    #[arg(long, value_name = "X", help_heading = "Model", allow_negative_numbers = true)]
    pub alpha_mu: Option<f64>,
    /// BGe: degrees of freedom of the Wishart prior [default: number of columns + 2]
    #[arg(long, value_name = "X", help_heading = "Model", allow_negative_numbers = true)]
    pub alpha_w: Option<f64>,
    /// BGe: the prior mean [default: zero]
    #[arg(long, value_name = "zero|mean", help_heading = "Model")]
    pub nu: Option<NuOption>,
    /// BGe: t of the prior matrix T = t·I [default: alpha_mu (alpha_w − d − 1) / (alpha_mu + 1)]
    #[arg(long, value_name = "X", help_heading = "Model", allow_negative_numbers = true)]
    pub t: Option<f64>,
    /// BDeu: equivalent sample size in rows [default: 1]
    #[arg(long, value_name = "X", help_heading = "Model", allow_negative_numbers = true)]
    pub ess: Option<f64>,
    /// Levels of a column beyond those that the files show; repeat it for more columns
    #[arg(long, value_name = "NAME=a,b,c", help_heading = "Model", conflicts_with = "columns")]
    pub levels: Vec<String>,
    /// The columns and their levels, in a TOML file, instead of reading them off the files
    #[arg(long, value_name = "SCHEMA.TOML", help_heading = "Model")]
    pub columns: Option<PathBuf>,
    /// Centre every column of every site and divide it by its standard deviation there
    #[arg(long, visible_alias = "standardize", help_heading = "Model")]
    pub standardise: bool,
    /// Leave out rows with missing values, instead of refusing the file
    #[arg(long, help_heading = "Model")]
    pub complete_cases: bool,
}

/// The whole model.
#[derive(Debug, Clone, Default, Args)]
pub struct ModelOptions {
    // No documentation comment: clap would take it for that of the whole command.
    #[command(flatten)]
    #[allow(missing_docs)]
    pub score: ScoreOptions,
    /// Prior over graphs: uniform, fair (per number of parents), or edges:Q (every edge with probability Q) [default: uniform]
    #[arg(long, value_name = "PRIOR", help_heading = "Model", allow_hyphen_values = true)]
    pub prior: Option<String>,
    /// What is known about the graph, in a TOML file: required = [["A", "B"]], forbidden, tiers, max_parents
    #[arg(long, value_name = "FILE.TOML", help_heading = "Model")]
    pub knowledge: Option<PathBuf>,
    /// Most parents of a node
    #[arg(long, value_name = "K", help_heading = "Model", allow_negative_numbers = true)]
    pub max_parents: Option<usize>,
    /// Loss of the clients; it does not change what is estimated [default: by the number of columns]
    #[arg(long, value_name = "LOSS", help_heading = "Training")]
    pub client_loss: Option<ClientLoss>,
    /// Loss of the server; it does not change what is estimated [default: by the number of columns]
    #[arg(long, value_name = "LOSS", help_heading = "Training")]
    pub server_loss: Option<ServerLoss>,
}

impl ScoreOptions {
    /// The settings of these options: what is not given is taken from `configured`, else the default. The columns are
    /// those of `--columns`, of `configured`, or read off `files`, in this order.
    pub fn settings(
        &self,
        configured: Option<&NetworkSettings>,
        files: &[PathBuf],
    ) -> Result<NetworkSettings> {
        let score = self.score_settings(configured.map(|c| &c.score))?;
        let columns = match (&self.columns, configured) {
            (Some(path), _) => Schema::load(path)?.columns,
            (None, Some(configured)) if self.levels.is_empty() => configured.columns.clone(),
            (None, Some(_)) => {
                return Err(Error::usage(
                    "--levels",
                    "columns that are read off the files",
                    "a plan that fixes them (--config)",
                    "add the levels to the plan, at all sites",
                ));
            }
            (None, None) => {
                files.iter().try_for_each(|file| input_file(file).map(drop))?;
                let levels = self.levels()?;
                let discrete = score.is_discrete().unwrap_or(!levels.is_empty());
                Schema::of_files(files, discrete, &levels)?.columns
            }
        };
        let combine = match self.combine {
            Some(CombineOption::Product) => Combine::Product,
            Some(CombineOption::Pooled) => Combine::Pooled,
            None => configured.map(|c| c.combine).unwrap_or_default(),
        };
        let given = |option: bool, of: fn(&NetworkSettings) -> bool| option || configured.is_some_and(of);
        Ok(NetworkSettings {
            combine,
            center_sites: given(self.center.is_some(), |c| c.center_sites),
            standardise: given(self.standardise, |c| c.standardise),
            complete_cases: given(self.complete_cases, |c| c.complete_cases),
            score,
            prior: configured.map(|c| c.prior.clone()).unwrap_or_default(),
            knowledge: configured.map(|c| c.knowledge.clone()).unwrap_or_default(),
            client_loss: configured.and_then(|c| c.client_loss),
            server_loss: configured.and_then(|c| c.server_loss),
            columns,
        })
    }

    /// The score. Refuses options that are another score's.
    fn score_settings(&self, configured: Option<&ScoreSettings>) -> Result<ScoreSettings> {
        let default = || configured.cloned().unwrap_or_default();
        let mut score = match self.score {
            None => default(),
            // The plan's own settings of the same score stay.
            Some(ScoreOption::Bge) => match configured {
                Some(same @ ScoreSettings::Bge(_)) => same.clone(),
                _ => ScoreSettings::Bge(BgeSettings::default()),
            },
            Some(ScoreOption::Bdeu) => match configured {
                Some(same @ ScoreSettings::Bdeu { .. }) => same.clone(),
                _ => ScoreSettings::Bdeu { equivalent_sample_size: 1.0 },
            },
            Some(ScoreOption::K2) => ScoreSettings::K2 {},
            Some(ScoreOption::Jeffreys) => ScoreSettings::Jeffreys {},
            Some(ScoreOption::Bic) => ScoreSettings::Bic {},
        };
        let name = score.name();
        let of_bge = [
            ("--alpha-mu", self.alpha_mu.is_some()),
            ("--alpha-w", self.alpha_w.is_some()),
            ("--nu", self.nu.is_some()),
            ("--t", self.t.is_some()),
        ];
        let stray = |option: &str, of: &str| {
            let found = format!("--score {name}");
            Err(Error::usage(option, format!("--score {of}"), found, "leave it out, or choose that score"))
        };
        match &mut score {
            ScoreSettings::Bge(bge) => {
                bge.alpha_mu = self.alpha_mu.unwrap_or(bge.alpha_mu);
                bge.alpha_w = self.alpha_w.or(bge.alpha_w);
                bge.t = self.t.or(bge.t);
                match self.nu {
                    Some(NuOption::Zero) => bge.prior_mean = PriorMean::Zero,
                    Some(NuOption::Mean) => bge.prior_mean = PriorMean::Mean,
                    None => {}
                }
            }
            _ => {
                if let Some((option, _)) = of_bge.iter().find(|(_, given)| *given) {
                    return stray(option, "bge");
                }
            }
        }
        match (&mut score, self.ess) {
            (ScoreSettings::Bdeu { equivalent_sample_size }, Some(ess)) => *equivalent_sample_size = ess,
            (_, Some(_)) => return stray("--ess", "bdeu"),
            (_, None) => {}
        }
        Ok(score)
    }

    /// Names and levels of the options `--levels`.
    fn levels(&self) -> Result<Vec<(String, Vec<String>)>> {
        let parse = |text: &String| {
            let refuse = || {
                let advice = "write for example --levels smoker=no,yes";
                Error::usage("--levels", "NAME=a,b,c", format!("`{text}`"), advice)
            };
            let (name, levels) = text.split_once('=').ok_or_else(refuse)?;
            let levels: Vec<String> = levels.split(',').map(|level| level.trim().to_string()).collect();
            if name.trim().is_empty() || levels.iter().any(String::is_empty) {
                return Err(refuse());
            }
            Ok((name.trim().to_string(), levels))
        };
        self.levels.iter().map(parse).collect()
    }
}

impl ModelOptions {
    /// The settings of these options, as [`ScoreOptions::settings`].
    pub fn settings(
        &self,
        configured: Option<&NetworkSettings>,
        files: &[PathBuf],
    ) -> Result<NetworkSettings> {
        let mut settings = self.score.settings(configured, files)?;
        if let Some(prior) = &self.prior {
            settings.prior = parse_prior(prior)?;
        }
        if let Some(path) = &self.knowledge {
            settings.knowledge = read_knowledge(path)?;
            settings.knowledge.resolve(&names(&settings)).map_err(|e| e.in_file(path))?;
        }
        if self.max_parents.is_some() {
            settings.knowledge.max_parents = self.max_parents;
        }
        let client = self.client_loss.map(|loss| match loss {
            ClientLoss::ModifiedDetailed => Balance::ModifiedDetailed,
            ClientLoss::Contrastive => Balance::Contrastive,
            ClientLoss::Trajectory => Balance::Trajectory,
        });
        let server = self.server_loss.map(|loss| match loss {
            ServerLoss::Contrastive => Balance::Contrastive,
            ServerLoss::ModifiedDetailed => Balance::ModifiedDetailed,
        });
        settings.client_loss = client.or(settings.client_loss);
        settings.server_loss = server.or(settings.server_loss);
        Ok(settings)
    }
}

fn names(settings: &NetworkSettings) -> Vec<String> {
    settings.columns.iter().map(|column| column.name.clone()).collect()
}

/// `uniform`, `fair` or `edges:Q`.
fn parse_prior(text: &str) -> Result<GraphPrior> {
    let probability = text.strip_prefix("edges:").map(str::parse::<f64>);
    match (text, probability) {
        ("uniform", _) => Ok(GraphPrior::Uniform),
        ("fair", _) => Ok(GraphPrior::Fair),
        (_, Some(Ok(probability))) if probability > 0.0 && probability < 1.0 => {
            Ok(GraphPrior::Edges { probability, edges: Vec::new() })
        }
        _ => Err(Error::usage(
            "--prior",
            "uniform, fair, or edges:Q with a probability between 0 and 1, neither of them",
            format!("`{text}`"),
            "correct the option",
        )),
    }
}

/// Knowledge from its TOML file.
fn read_knowledge(path: &Path) -> Result<Knowledge> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map_or_else(|| Place::file(path), |line| Place::file(path).line(line));
        Error::input(
            place,
            "required = [[\"A\", \"B\"]], forbidden, tiers = [[\"A\"], [\"B\", \"C\"]], max_parents = 3",
            error.message(),
            "correct the file",
        )
    })
}
