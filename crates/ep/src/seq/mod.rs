//! `ep seq`: the SPEC of a problem over sequences, and what its results hold besides those of all designs.

mod logo;
mod output;
mod reference;

use std::path::PathBuf;

use gfn_core::domain::Domain;
use gfn_core::{Error, Result};
use gfn_seq::exact::Transfer;
use gfn_seq::{Product, Profile, Sequence, SequenceDomain, SequenceSettings};
use serde::Deserialize;
use serde_json::json;

use crate::design::spec::{DesignSpec, SpecClient};
use crate::design::{Design, Exact, More, Results};
use crate::exact::MAX_STATES;
use crate::plan::Plan;

/// Names of the files with results of runs over sequences.
pub const RESULT_FILES: [&str; 6] =
    ["samples.csv", "best.csv", "front.csv", "marginals.csv", output::FASTA, output::PROFILE];

/// A SPEC of `ep seq run`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceSpec {
    /// `dna`, `protein`, or the letters of an alphabet of one's own.
    pub alphabet: String,
    /// The longest length.
    pub length: usize,
    /// Whether all sequences have this length.
    #[serde(default)]
    pub exact: bool,
    /// The clients.
    pub clients: Vec<SpecClient>,
}

impl DesignSpec for SequenceSpec {
    type Domain = SequenceDomain;

    const SECTION: &'static str = "seq";

    fn clients(&self) -> &[SpecClient] {
        &self.clients
    }

    fn fill(&self, _files: &[PathBuf], plan: &mut Plan) -> Result<()> {
        let (alphabet, length, exact) = (self.alphabet.clone(), self.length, self.exact);
        plan.seq = Some(SequenceSettings { alphabet, length, exact });
        Ok(())
    }

    fn domain(plan: &Plan) -> Result<SequenceDomain> {
        SequenceDomain::new(plan.sequences()?)
    }
}

/// What decides objects and target.
pub fn fingerprint_parts(settings: &SequenceSettings) -> Vec<String> {
    vec!["seq".to_string(), serde_json::to_string(settings).expect("settings are plain data")]
}

/// The product of the clients, for exact references.
fn transfer(domain: &SequenceDomain, files: &[PathBuf], weights: &[f64]) -> Result<Transfer> {
    let tables = files.iter().map(|file| domain.read_table(file)).collect::<Result<Vec<_>>>()?;
    let parts = tables.into_iter().zip(weights).map(|(table, &weight)| (table.reward, weight)).collect();
    Transfer::new(domain.environment(), Product { parts })
}

/// Whether all sequences, and what they begin with, can be enumerated.
fn is_enumerable(domain: &SequenceDomain) -> bool {
    let env = domain.environment();
    let mut states: usize = 1;
    let mut of_length: usize = 1;
    for _ in 0..env.max_length() {
        of_length = of_length.saturating_mul(env.alphabet_size());
        states = states.saturating_add(of_length);
    }
    states <= MAX_STATES
}

impl Design for SequenceDomain {
    fn description(&self) -> String {
        let env = self.environment();
        let kind = if env.exact_length() { "" } else { "up to " };
        let letters = match self.alphabet().name() {
            name @ ("dna" | "protein") => name.to_string(),
            letters => format!("letters {letters}"),
        };
        format!("sequences of {kind}{} {letters}", env.max_length())
    }

    fn feature_columns(&self) -> &'static [&'static str] {
        &["position", "letter"]
    }

    fn features(&self) -> Vec<Vec<String>> {
        let letters = self.alphabet().letters();
        let of_position = |position: usize| {
            letters.iter().map(move |letter| vec![(position + 1).to_string(), letter.to_string()])
        };
        (0..self.environment().max_length()).flat_map(of_position).collect()
    }

    fn visit_features(&self, object: &Sequence, visit: &mut dyn FnMut(usize, f64)) {
        for (position, &token) in object.tokens().iter().enumerate() {
            visit(position * self.alphabet().len() + usize::from(token), 1.0);
        }
    }

    fn log_partition(&self, files: &[PathBuf], weights: &[f64]) -> Result<Option<f64>> {
        // Where clients remember too much there is no closed form, and that is no error.
        Ok(transfer(self, files, weights).ok().map(|transfer| transfer.log_partition()))
    }

    fn lists_features(&self) -> bool {
        false
    }

    fn check_exact(&self, files: &[PathBuf], weights: &[f64]) -> Result<Exact> {
        if is_enumerable(self) {
            return Ok(Exact::Enumerated);
        }
        transfer(self, files, weights)
            .map(|_| Exact::ByDomain)
            .map_err(|error| Error::usage("--exact", error.expected(), error.found(), error.advice()))
    }

    fn write_more(&self, results: &Results<Self>) -> Result<More> {
        let found = results.found;
        // Counts add up exactly, shares do not.
        let n = found.sampled.len() as f64;
        let sampled = found.designs.iter().map(|design| (&design.object, (design.share * n).round()));
        let profile = Profile::of(self.alphabet().len(), self.environment().max_length(), sampled);
        output::write_profile(&results.out.join(output::PROFILE), self.alphabet(), &profile)?;
        if matches!(self.alphabet().name(), "dna" | "protein") {
            output::write_fasta(&results.out.join(output::FASTA), &found.designs)?;
        }
        let mut more = More { lines: logo::lines(self.alphabet(), &profile), ..More::default() };
        more.report.insert("consensus".into(), json!(logo::consensus(self.alphabet(), &profile)));
        let information: Vec<f64> = (0..profile.n_positions()).map(|i| profile.information(i)).collect();
        more.report.insert("information_bits".into(), json!(information));
        if let Some(preferences) = results.preferences
            && let Ok(transfer) = transfer(self, results.files, &preferences.weights)
        {
            let reference = reference::compare(self, &transfer, results)?;
            more.lines += &reference.lines();
            more.independent_deviation = Some(reference.residual_deviation);
            more.report.insert("reference".into(), json!(reference));
        }
        Ok(more)
    }
}
