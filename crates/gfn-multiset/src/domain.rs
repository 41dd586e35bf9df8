//! Multisets as a domain of the `ep` command: what all clients share, and what a client's values mean.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gfn_core::domain::{ClientData, Domain, Recipe, Stage};
use gfn_core::reward::LogReward;
use gfn_core::{Error, Place, Result};
use serde::{Deserialize, Serialize};

use crate::data::ValueTable;
use crate::environment::{Item, Multiset, Multisets};
use crate::interactions::MultisetReward;
use crate::recipe::recipe;

/// What stands between items in the name of a multiset, as in `2 apple + 1 pear`.
const AND: &str = " + ";

/// Everything that the clients of a problem agree on beforehand; no values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultisetSettings {
    /// Items of a multiset.
    pub size: usize,
    /// The items to choose from.
    pub items: Vec<Item>,
}

/// Everything public about a problem: size, names and capacities of the items. No values.
pub struct MultisetDomain {
    env: Arc<Multisets>,
    settings: MultisetSettings,
    /// Number of each item by its name.
    numbers: HashMap<String, usize>,
}

impl MultisetDomain {
    /// The domain of these settings. Refuses names that are empty, not unique, or cannot be part of a multiset's name, and
    /// sizes that are impossible.
    pub fn new(settings: MultisetSettings) -> Result<Self> {
        let mut numbers = HashMap::new();
        for (number, Item { name, .. }) in settings.items.iter().enumerate() {
            let refuse = |expected: &str, found: String, advice: &str| {
                Err(Error::input(Place::item(format!("item {}", number + 1)), expected, found, advice))
            };
            if name.is_empty() || name.trim() != name || name.contains(AND) || name.contains(char::is_control)
            {
                let expected = "a name in one line, without blanks around it and without ` + ` in it";
                return refuse(expected, format!("{name:?}"), "choose another name");
            }
            if let Some(twin) = numbers.insert(name.clone(), number) {
                let found = format!("{name:?}, as of item {}", twin + 1);
                return refuse("a name of its own", found, "name every item once");
            }
        }
        let env = Arc::new(Multisets::with_items(&settings.items, settings.size)?);
        Ok(MultisetDomain { env, settings, numbers })
    }

    /// The settings.
    pub fn settings(&self) -> &MultisetSettings {
        &self.settings
    }

    /// Reads a client's file ([`ValueTable::read`]). Every item must have a value, and no others; a pair that is not there
    /// has the value 0.
    pub fn read_reward(&self, path: &Path) -> Result<MultisetReward> {
        let table = ValueTable::read(path)?;
        let items = &self.settings.items;
        let mut values = vec![None; items.len()];
        let mut pairs = Vec::new();
        for row in &table.rows {
            let number = |column: &str, name: &str| {
                self.numbers.get(name).copied().ok_or_else(|| {
                    let place = Place::file(path).line(row.line).named(format!("column {column:?}"));
                    let expected = format!("one of the problem's items: {}", self.some_names());
                    let advice = "correct the name; an item has to be in every client's file";
                    Error::input(place, expected, format!("{name:?}"), advice)
                })
            };
            let item = number("item", &row.item)?;
            match &row.with {
                None => values[item] = Some(row.value),
                Some(with) => pairs.push((item, number("with", with)?, row.value)),
            }
        }
        if let Some(missing) = values.iter().position(Option::is_none) {
            let name = &items[missing].name;
            return Err(Error::input(
                Place::file(path),
                format!("a value of each of the problem's {} items", items.len()),
                format!("none of {name:?}"),
                format!("add a line with it; {name},0 for an item that does not matter"),
            ));
        }
        MultisetReward::new(&self.env, values.into_iter().flatten().collect(), &pairs)
            .map_err(|error| error.in_file(path))
    }

    /// The first names, for messages.
    fn some_names(&self) -> String {
        const MOST: usize = 12;
        let names: Vec<&str> = self.settings.items.iter().map(|item| item.name.as_str()).collect();
        match names.len().saturating_sub(MOST) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names[..MOST].join(", ")),
        }
    }
}

impl Domain for MultisetDomain {
    type Env = Multisets;

    fn name(&self) -> &'static str {
        "multiset"
    }

    fn environment(&self) -> &Arc<Multisets> {
        &self.env
    }

    fn read_client(&self, path: &Path) -> Result<ClientData<Multisets>> {
        let reward = self.read_reward(path)?;
        let values = format!("{} values", self.settings.items.len());
        let description = match reward.n_interactions() {
            0 => values,
            n => format!("{values}, {n} interactions"),
        };
        Ok(ClientData {
            reward: Arc::new(reward),
            prior_share: 1.0,
            chain: None,
            description,
            warnings: Vec::new(),
        })
    }

    /// All multisets are alike beforehand.
    fn log_prior(&self) -> Arc<dyn LogReward<Multisets>> {
        Arc::new(|_: &Multiset| 0.0)
    }

    /// Counts and names in the order of the items, such as `2 apple + 1 pear`.
    fn object_name(&self, object: &Multiset) -> String {
        let held = self.settings.items.iter().zip(object.counts()).filter(|(_, count)| **count > 0);
        held.map(|(item, count)| format!("{count} {}", item.name)).collect::<Vec<_>>().join(AND)
    }

    fn parse_object(&self, name: &str) -> Result<Multiset> {
        let refuse = |expected: &str, found: &str| {
            Error::input(
                Place::item("multiset"),
                expected,
                format!("{found:?}"),
                "write for example `2 apple + 1 pear`",
            )
        };
        let mut counts = vec![0; self.settings.items.len()];
        for part in name.split(AND) {
            let (count, item) =
                part.trim().split_once(' ').ok_or_else(|| refuse("a count and an item", part))?;
            let count: u32 = count.parse().map_err(|_| refuse("a count before the item", part))?;
            let number =
                self.numbers.get(item.trim()).ok_or_else(|| refuse("one of the problem's items", item))?;
            if count == 0 || count as usize > self.settings.size || counts[*number] > 0 {
                return Err(refuse("each item once, with a count from 1 to the size", part));
            }
            counts[*number] = count;
        }
        let object = Multiset::new(counts);
        let in_input = |e: Error| Error::input(e.place().clone(), e.expected(), e.found(), e.advice());
        self.env.check_object(&object).map_err(in_input)?;
        Ok(object)
    }

    fn objects_word(&self) -> &'static str {
        "multisets"
    }

    fn data_extension(&self) -> &'static str {
        "csv"
    }

    fn objects_extension(&self) -> &'static str {
        "txt"
    }

    fn recipe(&self, stage: Stage) -> Recipe {
        recipe(stage)
    }
}
