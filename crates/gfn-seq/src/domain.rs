//! Sequences as a domain of the `ep` command: what all parties share, and what a client's table means.

use std::path::Path;
use std::sync::Arc;

use gfn_core::domain::{ClientData, Domain, Recipe, Stage};
use gfn_core::reward::LogReward;
use gfn_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::alphabet::Alphabet;
use crate::data::{ClientTable, read_client_table};
use crate::environment::{Sequence, Sequences};
use crate::recipe::{TIME_PARTS, recipe};
use crate::reward::Product;

/// The name of the sequence without letters in files.
pub const EMPTY_NAME: &str = "<empty>";

/// Everything that the parties of a sequence problem agree on beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceSettings {
    /// `dna`, `protein`, or the letters of an alphabet of one's own, such as `HP`.
    pub alphabet: String,
    /// The longest length.
    pub length: usize,
    /// Whether all sequences have this length.
    #[serde(default)]
    pub exact: bool,
}

/// Everything public about a posterior over sequences.
pub struct SequenceDomain {
    env: Arc<Sequences>,
    alphabet: Alphabet,
}

impl SequenceDomain {
    /// The domain of these settings. Refuses alphabets and lengths that make no sense.
    pub fn new(settings: &SequenceSettings) -> Result<Self> {
        let alphabet = match settings.alphabet.as_str() {
            name @ ("dna" | "protein") => Alphabet::named(name)?,
            letters => Alphabet::new(letters, letters)?,
        };
        if let Some(kept) = alphabet.letters().iter().find(|letter| EMPTY_NAME.starts_with(**letter)) {
            return Err(Error::usage(
                "alphabet",
                format!(
                    "letters other than {kept:?}, with which {EMPTY_NAME} begins, the name of no letters"
                ),
                format!("{:?}", settings.alphabet),
                "use another letter",
            ));
        }
        let env = Arc::new(Sequences::new(alphabet.len(), settings.length, settings.exact)?);
        Ok(SequenceDomain { env, alphabet })
    }

    /// The alphabet.
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// Reads a client's CSV file: see [`read_client_table`].
    pub fn read_table(&self, path: &Path) -> Result<ClientTable> {
        read_client_table(path, &self.alphabet, &self.env).map_err(|e| e.in_file(path))
    }
}

impl Domain for SequenceDomain {
    type Env = Sequences;

    fn name(&self) -> &'static str {
        "seq"
    }

    fn environment(&self) -> &Arc<Sequences> {
        &self.env
    }

    fn read_client(&self, path: &Path) -> Result<ClientData<Sequences>> {
        let ClientTable { reward, description, warnings } = self.read_table(path)?;
        Ok(ClientData {
            reward: Arc::new(Product::single(reward)),
            prior_share: 0.0,
            chain: None,
            description,
            warnings,
        })
    }

    fn log_prior(&self) -> Arc<dyn LogReward<Sequences>> {
        Arc::new(|_: &Sequence| 0.0)
    }

    fn object_name(&self, object: &Sequence) -> String {
        if object.is_empty() { EMPTY_NAME.to_string() } else { self.alphabet.write(object) }
    }

    fn parse_object(&self, name: &str) -> Result<Sequence> {
        let sequence = if name == EMPTY_NAME { Sequence::default() } else { self.alphabet.read(name)? };
        self.env.check_object(&sequence)?;
        Ok(sequence)
    }

    fn objects_word(&self) -> &'static str {
        "sequences"
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

    fn time_parts(&self) -> [f64; 3] {
        TIME_PARTS
    }
}
