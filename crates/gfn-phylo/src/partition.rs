//! Dealing the sites of an alignment to clients.

use std::path::{Path, PathBuf};

use gfn_core::{Error, Place, Result};

use crate::alignment::{CharacterSet, Definition, Source, character_set_definitions, resolve};

/// How sites are dealt to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// Site `i` (from 0) goes to client `i mod N`: every client sees the whole alignment, thinned.
    RoundRobin,
    /// Client `k` gets the sites `i` with `floor(i · N / sites) = k`: neighbouring sites stay together.
    Contiguous,
    /// One client for each set, such as the `charset`s of a NEXUS file.
    CharacterSets(Vec<CharacterSet>),
    /// One client for each set of a file, see [`read_partition_file`].
    PartitionFile(PathBuf),
}

/// Deals `n_sites` sites to `clients` clients; each site goes to exactly one, each client gets at least one, in
/// ascending order.
///
/// # Errors
/// No clients; more clients than sites; with sets: another number of sets than of clients, sites in several sets or
/// in none, sites outside the alignment, a partition file that cannot be read.
///
/// ```
/// use gfn_phylo::partition::{Split, deal_sites};
/// assert_eq!(deal_sites(5, 2, &Split::RoundRobin).unwrap(), [vec![0, 2, 4], vec![1, 3]]);
/// assert_eq!(deal_sites(5, 2, &Split::Contiguous).unwrap(), [vec![0, 1, 2], vec![3, 4]]);
/// ```
pub fn deal_sites(n_sites: usize, clients: usize, split: &Split) -> Result<Vec<Vec<usize>>> {
    if clients == 0 {
        return Err(Error::usage("clients", "at least 1", "0", "choose a number of clients"));
    }
    if clients > n_sites {
        return Err(Error::usage(
            "clients",
            format!("at most one client for each of the {n_sites} sites"),
            format!("{clients} clients"),
            format!("choose {n_sites} clients or fewer"),
        ));
    }
    match split {
        Split::RoundRobin => {
            Ok((0..clients).map(|client| (client..n_sites).step_by(clients).collect()).collect())
        }
        Split::Contiguous => {
            let mut dealt = vec![Vec::new(); clients];
            for site in 0..n_sites {
                dealt[(site as u128 * clients as u128 / n_sites as u128) as usize].push(site);
            }
            Ok(dealt)
        }
        Split::CharacterSets(sets) => deal_sets(n_sites, clients, sets, None),
        Split::PartitionFile(path) => {
            deal_sets(n_sites, clients, &read_partition_file(path, n_sites)?, Some(path))
        }
    }
}

/// One client a set, after checking that the sets share out all sites.
fn deal_sets(
    n_sites: usize,
    clients: usize,
    sets: &[CharacterSet],
    file: Option<&Path>,
) -> Result<Vec<Vec<usize>>> {
    let place =
        |item: String| Place { file: file.map(Path::to_path_buf), item: Some(item), ..Place::default() };
    if sets.is_empty() {
        return Err(Error::input(
            place("character sets".into()),
            "one character set for each client",
            "none",
            "add charset commands to the NEXUS file, give a partition file, or split by position",
        ));
    }
    if sets.len() != clients {
        return Err(Error::input(
            place("character sets".into()),
            format!("one character set for each of {clients} clients"),
            format!("{} set(s)", sets.len()),
            format!("run with {} client(s), or change the sets", sets.len()),
        ));
    }
    let mut owner: Vec<Option<usize>> = vec![None; n_sites];
    for (number, set) in sets.iter().enumerate() {
        if set.sites.is_empty() {
            return Err(Error::input(
                place(format!("set {}", set.name)),
                "at least one site",
                "none",
                "remove the set or give it sites",
            ));
        }
        for &site in &set.sites {
            let Some(slot) = owner.get_mut(site) else {
                return Err(Error::input(
                    place(format!("set {}", set.name)),
                    format!("sites from 1 to {n_sites}"),
                    format!("site {}", site + 1),
                    "check that the sets belong to this alignment",
                ));
            };
            if let Some(other) = slot.replace(number) {
                return Err(Error::input(
                    place(format!("set {}", set.name)),
                    "each site in one set",
                    format!("site {} also in set {}", site + 1, sets[other].name),
                    "data counted twice would distort the posterior: give a partition file of sets that do not overlap",
                ));
            }
        }
    }
    let left_out = owner.iter().filter(|slot| slot.is_none()).count();
    if let Some(site) = owner.iter().position(Option::is_none) {
        return Err(Error::input(
            place("character sets".into()),
            "every site in a set",
            format!("{left_out} site(s) in none, the first of them site {}", site + 1),
            "add a set for them, or remove these sites from the alignment",
        ));
    }
    let sorted = |set: &CharacterSet| {
        let mut sites = set.sites.clone();
        sites.sort_unstable();
        sites
    };
    Ok(sets.iter().map(sorted).collect())
}

/// Reads a partition file: RAxML style (`DNA, gene1 = 1-100, 201-300\3`, one set a line, `#` comments) or the
/// `charset` commands of NEXUS.
///
/// # Errors
/// A file that cannot be read, and all of [`parse_partitions`].
pub fn read_partition_file(path: &Path, n_sites: usize) -> Result<Vec<CharacterSet>> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, "read", &error))?;
    parse_partitions(&bytes, path, n_sites)
}

/// Reads partitions from the content of a file; `file_name` is only for the messages.
///
/// # Errors
/// Lines or ranges that cannot be read, sites outside `1..=n_sites`, repeated names, models of other data than
/// nucleotides, no set at all. Overlaps are no error here.
pub fn parse_partitions(text: &[u8], file_name: &Path, n_sites: usize) -> Result<Vec<CharacterSet>> {
    let source = Source::new(text, file_name)?;
    let lower = source.text.to_ascii_lowercase();
    let nexus = lower.trim_start().starts_with("#nexus")
        || lower.lines().any(|line| line.split_whitespace().next() == Some("charset"));
    let definitions = if nexus { character_set_definitions(&source)? } else { raxml_definitions(&source)? };
    if definitions.is_empty() {
        return Err(Error::input(
            Place::file(file_name),
            "lines such as \"DNA, gene1 = 1-100\" or \"charset gene1 = 1-100;\"",
            "none",
            "write one set for each client",
        ));
    }
    resolve(&source, &definitions, n_sites)
}

/// Models of data other than nucleotides, as RAxML names them.
const OTHER_DATA: [&str; 13] = [
    "AA",
    "PROT",
    "BIN",
    "MULTI",
    "MULTISTATE",
    "ORDERED",
    "CODON",
    "WAG",
    "LG",
    "JTT",
    "DAYHOFF",
    "MTREV",
    "BLOSUM62",
];

fn raxml_definitions(source: &Source) -> Result<Vec<Definition>> {
    let mut definitions = Vec::new();
    let mut offset = 0;
    for line in source.text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let content = line.split('#').next().unwrap_or("").trim_end();
        if content.trim().is_empty() {
            continue;
        }
        let refuse = |found: &str, advice: &str| {
            Err(source.error(start, "a line such as \"DNA, gene1 = 1-100, 201-300\\3\"", found, advice))
        };
        let Some((head, ranges)) = content.split_once('=') else {
            return refuse("no '='", "write name and ranges with '=' between");
        };
        // The model may hold commas within braces; the name is what follows the last comma.
        let (model, name) = head.rsplit_once(',').unwrap_or(("DNA", head));
        let family = model.trim().split(['+', '{', '_']).next().unwrap_or("").to_ascii_uppercase();
        if OTHER_DATA.contains(&family.as_str()) || family.starts_with("PROT") {
            return refuse(
                &format!("the model {}", model.trim()),
                "only nucleotide partitions are supported",
            );
        }
        if name.trim().is_empty() {
            return refuse("an empty name", "name every set");
        }
        definitions.push(Definition {
            name: name.trim().to_string(),
            name_offset: start + head.len() - name.trim_start().len(),
            ranges: ranges.to_string(),
            ranges_offset: start + head.len() + 1,
        });
    }
    Ok(definitions)
}
