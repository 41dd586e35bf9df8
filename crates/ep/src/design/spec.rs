//! A SPEC: a TOML file that says what is designed, who the clients are, and where their files lie.

use std::path::{Path, PathBuf};

use gfn_core::{Error, Place, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::design::Design;
use crate::files::read_text;
use crate::plan::Plan;

/// A client in a SPEC: `[[clients]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecClient {
    /// Its name; that of its file where there is none.
    pub name: Option<String>,
    /// Its file, as seen from the SPEC's folder. A plan can do without.
    pub data: Option<PathBuf>,
    /// Its weight in the product.
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

/// What a SPEC of one domain holds: the model, and `[[clients]]`. Unknown keys are to be refused
/// (`#[serde(deny_unknown_fields)]`).
pub trait DesignSpec: DeserializeOwned {
    /// The domain.
    type Domain: Design;

    /// The domain's command, which is also its section in plans, such as `multiset`.
    const SECTION: &'static str;

    /// The clients.
    fn clients(&self) -> &[SpecClient];

    /// Puts the model into a plan. What is not in the SPEC may be read off the clients' files, of which there may be none.
    fn fill(&self, files: &[PathBuf], plan: &mut Plan) -> Result<()>;

    /// The domain of a plan. Refuses plans of other domains.
    fn domain(plan: &Plan) -> Result<Self::Domain>;
}

/// The clients of a SPEC.
#[derive(Debug, Clone, PartialEq)]
pub struct Clients {
    /// Their names, all different.
    pub names: Vec<String>,
    /// Their files: one for each client, or none at all.
    pub files: Vec<PathBuf>,
    /// Their weights in the product.
    pub weights: Vec<f64>,
}

/// Keys that only SPECs of one domain have, with the domain's command: to tell what a file is that is none of ours.
const TELLING_KEYS: [(&str, &str); 6] = [
    ("capacity", "multiset"),
    ("items", "multiset"),
    ("size", "multiset"),
    ("alphabet", "seq"),
    ("length", "seq"),
    ("side", "grid"),
];

/// Reads a SPEC and its clients. Refuses what is no SPEC of the domain, clients without a name or with one name between
/// them, and weights that make no sense.
pub fn read_spec<S: DesignSpec>(path: &Path) -> Result<(S, Clients)> {
    let text = read_text(path)?;
    let spec: S = toml::from_str(&text).map_err(|error| {
        let mut place = Place::file(path);
        if let Some(span) = error.span() {
            let before = &text[..span.start];
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            place =
                place.line(before.matches('\n').count() + 1).column(before[line_start..].chars().count() + 1);
        }
        let expected = format!("a SPEC of `ep {} run`", S::SECTION);
        Error::input(place, expected, error.message(), advice(&text, S::SECTION))
    })?;
    let clients = Clients::new(path, spec.clients()).map_err(|error| error.in_file(path))?;
    Ok((spec, clients))
}

/// What to do about a file that is no SPEC of this domain.
fn advice(text: &str, section: &str) -> String {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    if ["version", "budget", "rounds"].iter().all(|key| table.contains_key(*key)) {
        return "this is a plan, for `ep train` and `ep aggregate`; give the SPEC that it was made from"
            .into();
    }
    match TELLING_KEYS.iter().find(|(key, other)| table.contains_key(*key) && *other != section) {
        Some((_, other)) => format!("this looks like a SPEC of `ep {other} run`"),
        None => "correct the SPEC".into(),
    }
}

impl Clients {
    fn new(spec: &Path, clients: &[SpecClient]) -> Result<Self> {
        if clients.is_empty() {
            return Err(Error::input(
                Place::item("clients"),
                "at least one client",
                "none",
                "add [[clients]] with `name = \"…\"` and `data = \"….csv\"`",
            ));
        }
        let folder = spec.parent().unwrap_or(Path::new(""));
        let mut names: Vec<String> = Vec::new();
        let mut files = Vec::new();
        for (k, client) in clients.iter().enumerate() {
            let place = || Place::item(format!("client {}", k + 1));
            let stem = client.data.as_ref().and_then(|path| path.file_stem());
            let name = client.name.clone().or(stem.map(|stem| stem.to_string_lossy().into_owned()));
            let name = name.filter(|name| !name.trim().is_empty());
            let Some(name) = name else {
                let advice = "add `name = \"…\"`";
                return Err(Error::input(place(), "a name, or a file that gives one", "neither", advice));
            };
            if names.contains(&name) {
                let found = format!("{name:?} for the second time");
                return Err(Error::input(place(), "a name of its own", found, "give it another `name`"));
            }
            names.push(name);
            files.extend(client.data.as_ref().map(|data| folder.join(data)));
        }
        if !files.is_empty() && files.len() < clients.len() {
            let without = clients.iter().position(|client| client.data.is_none()).unwrap_or(0);
            return Err(Error::input(
                Place::item(format!("client {}", without + 1)),
                "`data` for every client, or for none",
                "none for this one",
                "add `data = \"….csv\"`",
            ));
        }
        let weights: Vec<f64> = clients.iter().map(|client| client.weight).collect();
        check_weights("weight of the clients", &weights, clients.len())?;
        Ok(Clients { names, files, weights })
    }
}

/// Refuses weights in a product that are not one for each of `n` clients, or make no sense; `setting` is where they are from.
pub fn check_weights(setting: &str, weights: &[f64], n: usize) -> Result<()> {
    if weights.len() != n {
        return Err(Error::usage(
            setting,
            format!("one weight for each of the {n} clients"),
            weights.len().to_string(),
            "give as many weights as clients",
        ));
    }
    if let Some(weight) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        return Err(Error::usage(setting, "numbers of at least 0", weight.to_string(), "correct the weight"));
    }
    if weights.iter().all(|&w| w == 0.0) {
        return Err(Error::usage(setting, "one positive weight at least", "zeros", "correct the weights"));
    }
    Ok(())
}
