//! Network structures as a domain of the `ep` command: what all sites share, and what a site's table means.

use std::path::Path;
use std::sync::Arc;

use gfn_core::domain::{ClientData, Domain, ObjectSampler, Recipe, Stage};
use gfn_core::losses::Balance;
use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result, Warning};
use serde::{Deserialize, Serialize};

use crate::chain::{ChainSettings, sample_structures};
use crate::dag::Dag;
use crate::data::{ColumnSchema, ReadOptions, Schema, read_discrete_table, read_table};
use crate::environment::DagEnvironment;
use crate::exact::LocalScoreTable;
use crate::knowledge::Knowledge;
use crate::prior::{DagPrior, GraphPrior};
use crate::recipe::{proposal_scale, recipe, time_parts};
use crate::reward::DagReward;
use crate::score::{GaussianStatistics, LocalScore, RowCounts, ScoreSettings, Statistics};

/// What several sites mean together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// Π_n p(D_n | G): one graph, separate parameters at every site. Policies travel.
    #[default]
    Product,
    /// p(D_1, …, D_N | G): one graph with the same parameters everywhere. Statistics travel, and add up exactly.
    Pooled,
}

/// Everything that the sites of a network problem agree on beforehand; no data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// What the sites mean together.
    #[serde(default)]
    pub combine: Combine,
    /// With [`Combine::Pooled`]: the rows of each site around that site's own mean, for sites that differ in their means.
    #[serde(default)]
    pub center_sites: bool,
    /// Each column of each site divided by its own standard deviation, and centred.
    #[serde(default)]
    pub standardise: bool,
    /// Rows with missing values are left out.
    #[serde(default)]
    pub complete_cases: bool,
    /// The score.
    #[serde(default)]
    pub score: ScoreSettings,
    /// The prior over graphs.
    #[serde(default)]
    pub prior: GraphPrior,
    /// What is known about the graph.
    #[serde(default, skip_serializing_if = "Knowledge::is_empty")]
    pub knowledge: Knowledge,
    /// The loss of clients; by default what the recipe of the size says. It does not change what is estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_loss: Option<Balance>,
    /// The loss of the server, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_loss: Option<Balance>,
    /// The columns, in the order of the nodes.
    pub columns: Vec<ColumnSchema>,
}

impl NetworkSettings {
    /// The product of the sites' BGe posteriors over these columns under a uniform prior, with every default.
    pub fn new(columns: Vec<ColumnSchema>) -> Self {
        NetworkSettings {
            combine: Combine::default(),
            center_sites: false,
            standardise: false,
            complete_cases: false,
            score: ScoreSettings::default(),
            prior: GraphPrior::default(),
            knowledge: Knowledge::default(),
            client_loss: None,
            server_loss: None,
            columns,
        }
    }

    /// A text that is equal for two settings only if they mean the same target over the same graphs.
    pub fn meaning(&self) -> String {
        let settings = NetworkSettings { client_loss: None, server_loss: None, ..self.clone() };
        serde_json::to_string(&settings).expect("settings are plain data")
    }
}

/// Everything public about an inference of network structures: columns, score, prior, knowledge. No rows.
pub struct DagDomain {
    env: Arc<DagEnvironment>,
    settings: NetworkSettings,
    schema: Schema,
    prior: Arc<DagPrior>,
}

/// A site's table, as statistics of its rows.
pub struct Site {
    /// All that the score needs of the rows.
    pub statistics: Statistics,
    /// Rows left out because of missing values.
    pub dropped_rows: usize,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

impl Site {
    /// The data in a line.
    pub fn description(&self) -> String {
        let rows = self.statistics.n_rows();
        let dropped = match self.dropped_rows {
            0 => String::new(),
            n => format!(", {n} incomplete left out"),
        };
        format!("{rows} rows{dropped}")
    }
}

impl DagDomain {
    /// The domain of these settings. Refuses columns, score, prior and knowledge that do not go together.
    pub fn new(settings: NetworkSettings) -> Result<Self> {
        let schema = Schema { columns: settings.columns.clone() };
        schema.check()?;
        if let Some(discrete) = settings.score.is_discrete()
            && discrete != schema.is_discrete()
        {
            let (of, found) = if discrete { ("levels", "none") } else { ("no levels", "levels") };
            return Err(Error::input(
                Place::item(format!("column {:?}", schema.columns[0].name)),
                format!("{of}, as for the score {}", settings.score.name()),
                found,
                "choose --score bdeu for categories, whose levels the plan must list, or --score bge for numbers",
            ));
        }
        for (option, given) in
            [("--standardise", settings.standardise), ("--center site", settings.center_sites)]
        {
            if given && schema.is_discrete() {
                let found = "categories";
                return Err(Error::usage(option, "columns of numbers", found, "leave it out"));
            }
        }
        for (option, loss) in [("client_loss", settings.client_loss), ("server_loss", settings.server_loss)] {
            if loss.is_some_and(|loss| loss.build(None).needs_flow()) {
                return Err(Error::usage(
                    option,
                    "a loss without flows: modified-detailed, contrastive or trajectory",
                    format!("{loss:?}"),
                    "choose one of these, or leave it out",
                ));
            }
        }
        if settings.center_sites && settings.combine == Combine::Product {
            return Err(Error::usage(
                "--center site",
                "--combine pooled",
                "--combine product",
                "with separate parameters, means are each site's own: use --nu mean, or --combine pooled",
            ));
        }
        let names = schema.names();
        let prior = Arc::new(DagPrior::new(&settings.prior, &names)?);
        let env = Arc::new(DagEnvironment::with_knowledge(names, &settings.knowledge)?);
        Ok(DagDomain { env, schema, prior, settings })
    }

    /// The settings.
    pub fn settings(&self) -> &NetworkSettings {
        &self.settings
    }

    /// The prior.
    pub fn prior(&self) -> &Arc<DagPrior> {
        &self.prior
    }

    /// Reads a site's CSV file.
    pub fn read_site(&self, path: &Path) -> Result<Site> {
        let NetworkSettings { complete_cases, standardise, .. } = self.settings;
        let options = ReadOptions { complete_cases, standardise };
        if self.schema.is_discrete() {
            let file = read_discrete_table(path, &self.schema, &options)?;
            let statistics = Statistics::Rows(RowCounts::of(&file.table));
            return Ok(Site { statistics, dropped_rows: file.dropped_rows, warnings: file.warnings });
        }
        let file = read_table(path, self.env.names(), &options)?;
        let statistics = GaussianStatistics::of(&file.table).map_err(|e| e.in_file(path))?;
        let statistics = if self.settings.center_sites { statistics.centred() } else { statistics };
        Ok(Site {
            statistics: Statistics::Gaussian(statistics),
            dropped_rows: file.dropped_rows,
            warnings: file.warnings,
        })
    }

    /// The score of one site's statistics, or of those of several merged.
    pub fn score(&self, statistics: &Statistics) -> Result<Arc<dyn LocalScore>> {
        self.settings.score.score(statistics)
    }

    /// The posterior of one graph with separate parameters for each of `parts`, with the prior to the power `share`.
    pub fn reward(&self, parts: &[&Statistics], share: f64) -> Result<DagReward> {
        let scores = parts.iter().map(|part| self.score(part)).collect::<Result<_>>()?;
        Ok(DagReward::new(&self.env, scores)?.with_prior(Arc::clone(&self.prior), share))
    }

    /// The posterior of one graph with the same parameters everywhere.
    pub fn pooled_reward(&self, parts: &[Statistics]) -> Result<DagReward> {
        self.reward(&[&Statistics::merge(parts)?], 1.0)
    }

    /// What training on a reward of this domain needs.
    pub fn client_data(
        &self,
        reward: DagReward,
        description: String,
        warnings: Vec<Warning>,
    ) -> ClientData<DagEnvironment> {
        let chain = StructureSampler { env: Arc::clone(&self.env), reward: reward.clone() };
        ClientData {
            reward: Arc::new(reward),
            prior_share: 1.0,
            chain: Some(Arc::new(chain)),
            description,
            warnings,
        }
    }

    /// All local scores of a reward with its prior, for the exact engine; what is not allowed is −∞.
    pub fn score_table(&self, parts: &[&Statistics], share: f64) -> Result<LocalScoreTable> {
        let d = self.env.n_nodes();
        let mut table = LocalScoreTable::from_fn(d, |node, parents| share * self.prior.local(node, parents))?;
        for part in parts {
            table.add(&LocalScoreTable::from_score(self.score(part)?.as_ref())?)?;
        }
        table.restrict(self.env.constraints())?;
        Ok(table)
    }
}

impl Domain for DagDomain {
    type Env = DagEnvironment;

    fn name(&self) -> &'static str {
        "bn"
    }

    fn environment(&self) -> &Arc<DagEnvironment> {
        &self.env
    }

    fn read_client(&self, path: &Path) -> Result<ClientData<DagEnvironment>> {
        let site = self.read_site(path)?;
        let reward = self.reward(&[&site.statistics], 1.0).map_err(|e| e.in_file(path))?;
        let description = site.description();
        Ok(self.client_data(reward, description, site.warnings))
    }

    fn log_prior(&self) -> Arc<dyn LogReward<DagEnvironment>> {
        Arc::new(self.prior.as_ref().clone())
    }

    fn object_name(&self, dag: &Dag) -> String {
        dag.to_string()
    }

    fn parse_object(&self, name: &str) -> Result<Dag> {
        let dag: Dag = name.parse()?;
        let refuse = |expected: String, found: String| {
            Err(Error::input(Place::item("graph"), expected, found, "use graphs of this plan"))
        };
        let d = self.env.n_nodes();
        if dag.n_nodes() != d {
            return refuse(format!("{} digits, for {d} nodes", d * d), format!("{} digits", name.len()));
        }
        if !self.env.constraints().allow(&dag) {
            return refuse("a graph that agrees with the plan's knowledge".into(), name.into());
        }
        Ok(dag)
    }

    fn objects_word(&self) -> &'static str {
        "graphs"
    }

    fn data_extension(&self) -> &'static str {
        "csv"
    }

    fn objects_extension(&self) -> &'static str {
        "txt"
    }

    fn recipe(&self, stage: Stage) -> Recipe {
        let NetworkSettings { client_loss, server_loss, .. } = self.settings;
        let loss = if stage == Stage::Server { server_loss } else { client_loss };
        recipe(stage, self.env.n_nodes(), loss)
    }

    fn time_parts(&self) -> [f64; 3] {
        time_parts(self.env.n_nodes())
    }

    fn proposal_scale(&self) -> f64 {
        proposal_scale(self.env.n_nodes())
    }
}

/// The structure chain on a site's own scores.
struct StructureSampler {
    env: Arc<DagEnvironment>,
    reward: DagReward,
}

impl ObjectSampler<DagEnvironment> for StructureSampler {
    fn sample(&self, n: usize, seed: u64) -> Vec<Dag> {
        let score = |node, parents| self.reward.local_score(node, parents);
        let settings = ChainSettings::for_graphs(n, self.env.n_nodes(), seed);
        sample_structures(&score, self.env.constraints(), &settings).graphs
    }
}
