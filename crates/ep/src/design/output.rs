//! The files with results that runs over all designs write.

use std::fmt::Write as _;
use std::path::Path;

use gfn_core::Result;
use gfn_core::tensor_file::write_atomically;

use crate::design::Design;
use crate::design::ObjectOf;
use crate::design::found::{Found, FoundDesign};
use crate::files::quoted;

/// Names of the files with results of runs over any designs.
pub const RESULT_FILES: [&str; 4] = ["samples.csv", "best.csv", "front.csv", "marginals.csv"];
/// Designs in `best.csv`.
const BEST_DESIGNS: usize = 1000;

/// Writes [`RESULT_FILES`]; `clients` are the names of the clients whose log-rewards are known.
///
/// * `samples.csv`: `object[,log_reward,log_reward_CLIENT…,weight]`, in the order drawn;
/// * `best.csv`: `object[,log_reward,log_reward_CLIENT…,probability,reweighted],share`, the best distinct designs;
/// * `front.csv`: the same columns, the Pareto front;
/// * `marginals.csv`: the domain's columns, `expected,monte_carlo_error[,reweighted]`.
///
/// What is in brackets is there where the clients' data are; `front.csv` as well.
pub fn write_results<D: Design>(
    out: &Path,
    domain: &D,
    clients: &[String],
    found: &Found<ObjectOf<D>>,
) -> Result<()> {
    let rated = !found.weights.is_empty();
    let mut columns = String::from("object");
    if rated {
        columns += ",log_reward";
        clients.iter().for_each(|name| columns += &format!(",{}", quoted(&format!("log_reward_{name}"))));
    }
    let mut text = format!("{columns}{}\n", if rated { ",weight" } else { "" });
    for (i, &place) in found.sampled.iter().enumerate() {
        text += &start_of_line(&found.designs[place as usize]);
        if rated {
            let _ = write!(text, ",{}", found.weights[i]);
        }
        text.push('\n');
    }
    write_atomically(&out.join("samples.csv"), text.as_bytes())?;

    let header = format!("{columns}{},share\n", if rated { ",probability,reweighted" } else { "" });
    let table = |places: &mut dyn Iterator<Item = usize>| {
        let mut text = header.clone();
        for design in places.map(|place| &found.designs[place]) {
            text += &start_of_line(design);
            if let Some(rated) = &design.rated {
                let _ = write!(text, ",{},{}", rated.probability, rated.reweighted);
            }
            let _ = writeln!(text, ",{}", design.share);
        }
        text
    };
    let best = table(&mut (0..found.designs.len().min(BEST_DESIGNS)));
    write_atomically(&out.join("best.csv"), best.as_bytes())?;
    if rated {
        let front = table(&mut found.front.iter().copied());
        write_atomically(&out.join("front.csv"), front.as_bytes())?;
    }

    let mut text = domain.feature_columns().join(",") + ",expected,monte_carlo_error";
    text += if rated { ",reweighted\n" } else { "\n" };
    for (names, marginal) in domain.features().iter().zip(&found.marginals) {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let _ = write!(text, "{},{},{}", names.join(","), marginal.expected, marginal.monte_carlo_error);
        if let Some(reweighted) = marginal.reweighted {
            let _ = write!(text, ",{reweighted}");
        }
        text.push('\n');
    }
    write_atomically(&out.join("marginals.csv"), text.as_bytes())
}

/// The design and what clients say of it.
fn start_of_line<S>(design: &FoundDesign<S>) -> String {
    let mut text = quoted(&design.name);
    if let Some(rated) = &design.rated {
        let _ = write!(text, ",{}", rated.log_reward);
        rated.log_rewards.iter().for_each(|log_reward| {
            let _ = write!(text, ",{log_reward}");
        });
    }
    text
}
