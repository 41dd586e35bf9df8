//! `ep train` and `ep aggregate` under a pooled plan: sites write statistics, the server merges them and trains.

use std::path::{Path, PathBuf};

use gfn_bn::{DagDomain, Statistics};
use gfn_core::domain::Domain;
use gfn_core::server::ServerModel;
use gfn_core::{Error, Place, Result};

use super::aggregate::{AggregateArguments, client_files, open_out};
use super::print;
use super::train::TrainArguments;
use crate::bn::heterogeneity::heterogeneity;
use crate::bn::plan::combine_text;
use crate::bn::pooled::{StatisticsFile, client_statistics};
use crate::files::input_file;
use crate::folder::{client_data, client_lock, content_key, lock_file, server_file};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::run::CENTRALISED;
use crate::stages::{StageContext, train_client};

/// `ep train`: there is nothing to train at a site; what it sends are its statistics.
pub fn write_statistics(arguments: &TrainArguments, plan: &Plan, domain: &DagDomain) -> Result<()> {
    let expected = "a plan whose sites train (--combine product)";
    let found = "one of --combine pooled, whose sites send statistics";
    for (option, given) in [
        ("--proposals", arguments.proposals.is_some()),
        ("--previous", arguments.previous.is_some()),
        ("--budget", arguments.budget.is_some()),
    ] {
        if given {
            return Err(Error::usage(option, expected, found, "leave it out"));
        }
    }
    let (name, data, out, lock) = match (&arguments.data, &arguments.out) {
        (Some(data), Some(out)) => {
            let stem = out.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let name = arguments.name.clone().or(stem).unwrap_or_else(|| "site".into());
            (name, data.clone(), out.clone(), None)
        }
        _ => {
            let k = arguments.client_of(plan)?;
            let path = |name: String| arguments.target.join(name);
            let data = path(client_data(k, domain.data_extension()));
            (plan.clients[k].clone(), data, path(client_statistics(k)), Some(path(client_lock(k))))
        }
    };
    if out.exists() {
        return Err(Error::input(
            Place::file(&out),
            "a free name for the file to send",
            "a file or folder",
            "nothing is overwritten: if it is an older result, remove it, or choose another --out",
        ));
    }
    let site = domain.read_site(input_file(&data)?)?;
    site.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    // What the server would refuse is refused where the data are.
    domain.score(&site.statistics).map_err(|e| e.in_file(&data))?;
    let _lock = lock.map(|lock| lock_file(&lock, &out)).transpose()?;
    let file = StatisticsFile::new(&plan.fingerprint()?, &name, &site);
    file.save(&out)?;
    print(&format!("{}: statistics of {}\n{}\n", out.display(), file.data, file.reveals()))
}

/// `ep aggregate`: the exact sum of the statistics, and one policy trained on it.
pub fn merge_statistics(arguments: &AggregateArguments, plan: &Plan, domain: &DagDomain) -> Result<()> {
    if !arguments.weights.is_empty() {
        return Err(Error::usage(
            "--weights",
            "policies to be weighted (--combine product)",
            "statistics, which add up to those of all rows",
            "leave it out",
        ));
    }
    let fingerprint = plan.fingerprint()?;
    let paths = client_files(arguments, plan, |k| {
        let path = arguments.target.join(client_statistics(k));
        path.exists().then_some(path)
    })?;
    let (files, key) = load_statistics(&paths, &fingerprint, domain)?;
    let statistics: Vec<Statistics> = files.iter().map(|file| file.statistics.clone()).collect();
    let merged = Statistics::merge(&statistics)?;
    let reward = domain.reward(&[&merged], 1.0)?;
    let mut folder = open_out(arguments, plan, &fingerprint)?;
    let name = server_file(0);
    let checkpoint = folder.path(&format!("server/round-0-{key}.checkpoint"));
    let progress = Progress::new(false);
    let context = StageContext {
        plan: fingerprint,
        seed: plan.seed,
        budget: arguments.budget.unwrap_or(plan.budget).whole(),
        checkpoint: Some(checkpoint.clone()),
        progress: progress.stage(CENTRALISED, folder.path("server/log.jsonl")),
    };
    let description = format!("{} rows of {} sites", merged.n_rows(), files.len());
    let data = domain.client_data(reward, description, Vec::new());
    let server = ServerModel::single(train_client(domain, CENTRALISED, &data, true, None, context)?);
    server.save(&folder.path(&name))?;
    folder.finish(&name, server.meta.seconds, server.meta.steps)?;
    // It may never have been written.
    let _ = std::fs::remove_file(checkpoint);
    let mut text = format!(
        "{}: {}, {} steps\n{}\n",
        folder.path(&name).display(),
        data.description,
        server.meta.steps,
        combine_text(domain.settings())
    );
    if let Some(found) = heterogeneity(domain, &statistics, plan.seed)? {
        text += &format!("{}\n", found.text);
        text += &found.warning(domain).map_or_else(String::new, |warning| format!("warning: {warning}\n"));
    }
    print(&text)
}

/// The sites' statistics, checked against the plan and each other, and a name for exactly this sum.
fn load_statistics(
    paths: &[PathBuf],
    fingerprint: &str,
    domain: &DagDomain,
) -> Result<(Vec<StatisticsFile>, String)> {
    let mut files: Vec<StatisticsFile> = Vec::new();
    for path in paths {
        let file = StatisticsFile::load(path)?;
        file.check_plan(path, fingerprint, domain)?;
        if files.iter().any(|other| other.client == file.client) {
            return Err(twice(path, &format!("{} for the second time", file.client)));
        }
        if let Some(twin) = files.iter().find(|other| other.statistics == file.statistics) {
            return Err(twice(path, &format!("the statistics of {}", twin.client)));
        }
        files.push(file);
    }
    let texts: Vec<String> = files.iter().map(StatisticsFile::text).collect();
    Ok((files, content_key(texts.iter().map(String::as_bytes))))
}

fn twice(path: &Path, found: &str) -> Error {
    Error::input(
        Place::file(path),
        "a site that is not among the files yet",
        found,
        "give each site's file once: its data would count twice",
    )
}
