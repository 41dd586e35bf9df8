//! `ep status` and `ep inspect`: what is there, without changing it.

use std::path::PathBuf;

use clap::Args;
use gfn_bn::Combine;
use gfn_core::Result;
use gfn_core::client::ClientModel;
use gfn_core::server::ServerModel;

use super::print;
use crate::bn::pooled::{StatisticsFile, client_statistics, is_statistics};
use crate::files::input_file;
use crate::folder::{client_checkpoint, client_file, newest_round, server_file};
use crate::plan::Plan;

/// `ep status`
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// A run folder
    target: PathBuf,
}

/// `ep inspect`
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// A client's or a server's file
    file: PathBuf,
}

/// `ep status`
pub fn status(arguments: &StatusArguments) -> Result<()> {
    let plan = Plan::of(&arguments.target)?;
    let target = &arguments.target;
    let mut text = format!("plan {} with {} clients\n", plan.fingerprint()?, plan.clients.len());
    let aggregate = newest_round(target, server_file);
    // Clients' files need not be in the folder of their aggregate.
    let [no_file, no_statistics] = match aggregate {
        Some(_) => ["no file in this folder", "no statistics in this folder"],
        None => ["not trained", "no statistics"],
    };
    let pooled = plan.networks().is_ok_and(|model| model.combine == Combine::Pooled);
    for (k, name) in plan.clients.iter().enumerate() {
        if pooled {
            let written = target.join(client_statistics(k)).exists();
            let state = if written { "statistics written" } else { no_statistics };
            text += &format!("  client {k} ({name}): {state}\n");
            continue;
        }
        let done = newest_round(target, |round| client_file(k, round));
        let training = target.join(client_checkpoint(k, done.map_or(0, |round| round + 1))).exists();
        let state = match (done, training) {
            (_, true) => "in training, or interrupted".to_string(),
            (None, false) => no_file.to_string(),
            (Some(0), false) => "trained".to_string(),
            (Some(round), false) => format!("trained, {round} extra rounds"),
        };
        text += &format!("  client {k} ({name}): {state}\n");
    }
    text += &match aggregate {
        None => "  server: no aggregate\n".to_string(),
        Some(_) if pooled => "  server: trained on the merged statistics\n".to_string(),
        Some(round) => {
            let server = ServerModel::load(&target.join(server_file(round)))?;
            let names: Vec<&str> =
                server.meta.clients.iter().map(|(client, _)| client.client.as_str()).collect();
            format!("  server: aggregate of {} after {round} extra rounds\n", names.join(", "))
        }
    };
    text += if target.join("report.json").exists() { "  report: written\n" } else { "  report: none\n" };
    print(&text)
}

/// `ep inspect`
pub fn inspect(arguments: &InspectArguments) -> Result<()> {
    if is_statistics(input_file(&arguments.file)?) {
        let file = StatisticsFile::load(&arguments.file)?;
        let (client, plan) = (&file.client, &file.plan);
        return print(&format!(
            "Statistics of {client}, plan {plan}: {}; columns {}.\n{}\n",
            file.data,
            file.statistics.names().join(", "),
            file.reveals()
        ));
    }
    let text = match ClientModel::load(input_file(&arguments.file)?) {
        Ok(client) => {
            let numbers: usize = client.policy.tensors().iter().map(|t| t.values.len()).sum();
            let meta = serde_json::to_string_pretty(&client.meta).expect("plain data");
            let reveals = reveals(&client.meta.domain);
            format!("A client's file: {numbers} parameters.\n{meta}\n{reveals}")
        }
        Err(as_client) => match ServerModel::load(&arguments.file) {
            Ok(server) => {
                let meta = serde_json::to_string_pretty(&server.meta).expect("plain data");
                let reveals = reveals(&server.meta.domain);
                format!("An aggregate: the policies of its clients and a residual.\n{meta}\n{reveals}")
            }
            Err(_) => return Err(as_client),
        },
    };
    print(&text)
}

/// What a policy tells whoever has it.
fn reveals(domain: &str) -> String {
    let more = match domain {
        "bn" => {
            " Between graphs that differ in one edge they are differences of local scores, of which there are more than \
             sufficient statistics: of numbers, correlations can be estimated from them, of few categories the counts."
        }
        "multiset" => {
            " Between multisets that differ in one item they are differences of values: every value can be read off, up to one \
             constant for all."
        }
        _ => "",
    };
    format!(
        "What it reveals: the policy is a function of the client's data. Differences of log-posterior between objects can \
         be read off it; it does not hide the data, and is not meant to.{more}\n"
    )
}
