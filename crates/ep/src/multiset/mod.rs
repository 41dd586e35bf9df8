//! `ep multiset`: the SPEC of a problem over multisets, and what its results count.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gfn_core::domain::Domain;
use gfn_core::{Error, Place, Result};
use gfn_multiset::data::ValueTable;
use gfn_multiset::{Item, Multiset, MultisetDomain, MultisetReward, MultisetSettings};
use serde::Deserialize;

use crate::design::Design;
use crate::design::spec::{DesignSpec, SpecClient};
use crate::plan::Plan;

/// A SPEC of `ep multiset run`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultisetSpec {
    /// Items of a multiset.
    pub size: usize,
    /// The items to choose from; those of the first client's file where they are not named.
    pub items: Option<Vec<String>>,
    /// Most items of a kind in a multiset, by name.
    #[serde(default)]
    pub capacity: BTreeMap<String, u32>,
    /// The clients.
    pub clients: Vec<SpecClient>,
}

impl DesignSpec for MultisetSpec {
    type Domain = MultisetDomain;

    const SECTION: &'static str = "multiset";

    fn clients(&self) -> &[SpecClient] {
        &self.clients
    }

    fn fill(&self, files: &[PathBuf], plan: &mut Plan) -> Result<()> {
        let names = match (&self.items, files.first()) {
            (Some(names), _) => names.clone(),
            (None, Some(first)) => ValueTable::read(first)?.items(),
            (None, None) => {
                let advice = "add `items = [\"…\", …]`, or `data` to the clients";
                return Err(Error::input(Place::item("items"), "the items to choose from", "none", advice));
            }
        };
        if let Some(unknown) = self.capacity.keys().find(|name| !names.contains(name)) {
            return Err(Error::input(
                Place::item("capacity"),
                format!("capacities of the items {}", names.join(", ")),
                format!("one of {unknown:?}"),
                "correct the name",
            ));
        }
        let item = |name: String| Item { capacity: self.capacity.get(&name).copied(), name };
        plan.multiset =
            Some(MultisetSettings { size: self.size, items: names.into_iter().map(item).collect() });
        Ok(())
    }

    fn domain(plan: &Plan) -> Result<MultisetDomain> {
        MultisetDomain::new(plan.multisets()?.clone())
    }
}

/// What decides objects and target.
pub fn fingerprint_parts(settings: &MultisetSettings) -> Vec<String> {
    vec!["multiset".to_string(), serde_json::to_string(settings).expect("settings are plain data")]
}

impl Design for MultisetDomain {
    fn description(&self) -> String {
        let env = self.environment();
        let limited = if env.is_limited() { ", with capacities" } else { "" };
        format!("{} items out of {} kinds{limited}", env.size(), env.n_kinds())
    }

    fn feature_columns(&self) -> &'static [&'static str] {
        &["item"]
    }

    fn features(&self) -> Vec<Vec<String>> {
        self.settings().items.iter().map(|item| vec![item.name.clone()]).collect()
    }

    fn visit_features(&self, object: &Multiset, visit: &mut dyn FnMut(usize, f64)) {
        for (item, &count) in object.counts().iter().enumerate().filter(|(_, count)| **count > 0) {
            visit(item, f64::from(count));
        }
    }

    fn log_partition(&self, files: &[PathBuf], weights: &[f64]) -> Result<Option<f64>> {
        let rewards = files.iter().map(|file| self.read_reward(file)).collect::<Result<Vec<_>>>()?;
        let weighted: Vec<(&MultisetReward, f64)> = rewards.iter().zip(weights.iter().copied()).collect();
        Ok(MultisetReward::product(self.environment(), &weighted)?.log_partition(self.environment()))
    }
}
