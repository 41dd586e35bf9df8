//! The files of a run's sites: names, rows in the plan's order of columns, statistics, and that no site comes twice.

use std::path::{Path, PathBuf};

use gfn_bn::data::{ReadOptions, Schema, read_discrete_table, read_table};
use gfn_bn::{DagDomain, NetworkSettings, Site};
use gfn_core::{Error, Place, Result};

use crate::files::input_file;

/// A site's file, read.
pub struct SiteFile {
    /// The site's name: that of the file.
    pub name: String,
    /// The rows as CSV, columns in the order of the nodes, incomplete rows left out where the plan says so. Otherwise as
    /// they were: standardising is done by whoever reads them.
    pub text: String,
    /// Its statistics, as the score takes them.
    pub site: Site,
}

/// Reads the files of all sites. Refuses the same site twice, by path or by rows.
pub fn read_sites(domain: &DagDomain, paths: &[PathBuf]) -> Result<Vec<SiteFile>> {
    let names = site_names(paths)?;
    let mut files: Vec<SiteFile> = Vec::new();
    for (path, name) in paths.iter().zip(names) {
        let site = domain.read_site(input_file(path)?)?;
        let text = rows_as_csv(domain.settings(), path)?;
        if let Some(twin) = files.iter().position(|other| other.text == text) {
            return Err(twice(path, &paths[twin], "the same rows"));
        }
        files.push(SiteFile { name, text, site });
    }
    Ok(files)
}

/// Names of sites: the files' names without their endings; where these are equal, with the folder in front.
pub fn site_names(paths: &[PathBuf]) -> Result<Vec<String>> {
    let mut real = Vec::new();
    for path in paths {
        let own = std::fs::canonicalize(path).map_err(|e| Error::io(path, "read", &e))?;
        if let Some(twin) = real.iter().position(|other| *other == own) {
            return Err(twice(path, &paths[twin], "the same file"));
        }
        real.push(own);
    }
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = real.iter().map(|path| part(path.file_stem())).collect();
    let name = |k: usize| {
        if stems.iter().filter(|stem| **stem == stems[k]).count() == 1 {
            return stems[k].clone();
        }
        format!("{}/{}", part(real[k].parent().and_then(Path::file_name)), stems[k])
    };
    let names: Vec<String> = (0..stems.len()).map(name).collect();
    if let Some(k) = (0..names.len()).find(|&k| names[..k].contains(&names[k])) {
        return Err(Error::input(
            Place::file(&paths[k]),
            "a name of its own for every site, by file or folder",
            format!("{} for the second time", names[k]),
            "rename the file",
        ));
    }
    Ok(names)
}

fn twice(path: &Path, twin: &Path, what: &str) -> Error {
    Error::input(
        Place::file(path),
        "a site that is not among the files yet",
        format!("the same site twice: {what} as {}", twin.display()),
        "give each site's file once: its data would count twice",
    )
}

/// A file's rows with the columns in the order of the nodes.
fn rows_as_csv(settings: &NetworkSettings, path: &Path) -> Result<String> {
    let schema = Schema { columns: settings.columns.clone() };
    let options = ReadOptions { complete_cases: settings.complete_cases, standardise: false };
    Ok(if schema.is_discrete() {
        read_discrete_table(path, &schema, &options)?.table.to_csv()
    } else {
        read_table(path, &schema.names(), &options)?.table.to_csv()
    })
}
