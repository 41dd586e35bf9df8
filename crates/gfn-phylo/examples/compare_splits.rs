//! How far the bipartition probabilities of a run are from those of Markov chains that know nothing of networks.
//!
//! ```sh
//! cargo run --release -p gfn-phylo --example compare_splits -- ALIGNMENT RUN/splits.csv chains 2000000
//! cargo run --release -p gfn-phylo --example compare_splits -- ALIGNMENT RUN/splits.csv mrbayes PREFIX
//! ```
//!
//! `chains` runs four Metropolis chains over topologies (JC69, all lengths 0.1) of so many proposals each; `mrbayes`
//! reads `PREFIX.parts` and `PREFIX.tstat`, which MrBayes' `sumt` writes. Bipartitions that one side lacks count as 0.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use gfn_phylo::{
    Alignment, Bipartition, Likelihood, OracleSettings, SitePatterns, SubstitutionModel, read_alignment,
    sample_topologies,
};

type Splits = BTreeMap<Bipartition, f64>;
type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [alignment, run, kind, value] = arguments.as_slice() else {
        return Err(
            "expected: ALIGNMENT RUN/splits.csv chains PROPOSALS, or ALIGNMENT RUN/splits.csv mrbayes PREFIX"
                .into(),
        );
    };
    let alignment = read_alignment(Path::new(alignment))?.alignment;
    let mut taxa = alignment.taxa.clone();
    taxa.sort();
    let ours = read_run(&std::fs::read_to_string(run)?, &taxa)?;
    let reference = match kind.as_str() {
        "chains" => run_chains(&alignment, value.parse()?)?,
        "mrbayes" => read_mrbayes(value, &alignment.taxa, &taxa)?,
        other => return Err(format!("expected chains or mrbayes, found {other}").into()),
    };
    let mut differences: Vec<(f64, &Bipartition)> = ours
        .keys()
        .chain(reference.keys().filter(|split| !ours.contains_key(split)))
        .map(|split| (ours.get(split).unwrap_or(&0.0) - reference.get(split).unwrap_or(&0.0), split))
        .collect();
    differences.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let squares: f64 = differences.iter().map(|(d, _)| d * d).sum();
    println!(
        "{} bipartitions: largest difference {:.4}, root mean square {:.4}",
        differences.len(),
        differences.first().map_or(0.0, |(d, _)| d.abs()),
        (squares / differences.len().max(1) as f64).sqrt()
    );
    for (difference, split) in differences.iter().take(5) {
        let names: Vec<&str> = split.taxa().iter().map(|&t| taxa[t].as_str()).collect();
        println!("  {difference:+.4}  {}", names.join(","));
    }
    Ok(())
}

fn run_chains(alignment: &Alignment, steps: usize) -> Result<Splits, Failure> {
    let likelihood = Likelihood::new(&SubstitutionModel::jc69(), &SitePatterns::new(alignment))?;
    let clock = Instant::now();
    let settings = OracleSettings { steps, burn_in: steps / 5, ..OracleSettings::default() };
    let report = sample_topologies(&likelihood, &settings)?;
    println!(
        "4 chains of {steps} proposals in {:.1} s: a chain differs from their mean by at most {:.4}; {} trees",
        clock.elapsed().as_secs_f64(),
        report.max_split_difference,
        report.trees.len()
    );
    Ok(report.splits.into_iter().map(|s| (s.split, s.mean)).collect())
}

/// `splits.csv`: both sides of each bipartition by name, the one of the first taxon first.
fn read_run(text: &str, taxa: &[String]) -> Result<Splits, Failure> {
    let mut splits = Splits::new();
    for line in text.lines().skip(1) {
        let (sides, probability) = line.rsplit_once(',').ok_or("a line without a probability")?;
        let (_, side) = sides.trim_matches('"').rsplit_once('|').ok_or("a bipartition without `|`")?;
        let numbers = side
            .split(',')
            .map(|name| taxa.iter().position(|t| t == name).ok_or(format!("no taxon `{name}`")))
            .collect::<Result<Vec<usize>, String>>()?;
        splits.insert(Bipartition::new(taxa.len(), numbers), probability.parse()?);
    }
    Ok(splits)
}

/// `.parts` has lines "ID  ..**." with a mark per taxon in the order of the alignment, `.tstat` "ID #obs probability …".
fn read_mrbayes(prefix: &str, order: &[String], taxa: &[String]) -> Result<Splits, Failure> {
    let columns = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_digit()));
        lines.map(|l| l.split_whitespace().map(String::from).collect()).collect()
    };
    let probabilities: BTreeMap<String, f64> = columns(&std::fs::read_to_string(format!("{prefix}.tstat"))?)
        .into_iter()
        .filter_map(|row| Some((row[0].clone(), row.get(2)?.parse().ok()?)))
        .collect();
    let mut splits = Splits::new();
    for row in columns(&std::fs::read_to_string(format!("{prefix}.parts"))?) {
        let marks = row.get(1).ok_or("a bipartition without marks")?;
        let size = marks.matches('*').count();
        if size < 2 || size + 2 > order.len() {
            continue;
        }
        let inside = marks.chars().zip(order).filter(|(mark, _)| *mark == '*');
        let numbers = inside.filter_map(|(_, name)| taxa.iter().position(|t| t == name));
        let split = Bipartition::new(taxa.len(), numbers);
        // Bipartitions below the threshold of `sumt` have no probability in the table.
        *splits.entry(split).or_insert(0.0) += probabilities.get(&row[0]).copied().unwrap_or(0.0);
    }
    Ok(splits)
}
