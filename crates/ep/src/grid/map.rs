//! Maps of the target and of what was learned, over the first two axes: shades in the terminal, rectangles as SVG.

use std::fmt::Write as _;

use gfn_core::Result;
use gfn_core::domain::Domain;
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::grid::{Cell, Grid};

use super::GridDomain;
use crate::design::Results;

/// Cells up to which maps are exact; beyond, they are those of the samples.
const EXACT_CELLS: usize = 200_000;
/// Most fields of a map along an axis: cells share a field where there are more.
const FIELDS: usize = 64;
/// The same in the terminal, where a field is two letters wide and two maps stand side by side.
const TERMINAL_FIELDS: usize = 24;
/// Shades from nothing to the most probable field.
const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
/// Width and height of a map in the picture, and the space around it.
const SIZE: f64 = 360.0;
const MARGIN: f64 = 40.0;

/// Probabilities over the first two axes, fields of the second axis row by row.
#[derive(Debug, Clone, PartialEq)]
struct Map {
    columns: usize,
    rows: usize,
    probabilities: Vec<f64>,
}

/// The number of cells, where there are few enough for exact maps.
pub fn exact_cells(env: &Grid) -> Option<usize> {
    env.side().checked_pow(env.dimensions() as u32).filter(|&n| n <= EXACT_CELLS)
}

/// The two maps.
pub struct Maps {
    target: Option<Map>,
    learned: Map,
    /// Whether they are exact, and not those of samples.
    pub is_exact: bool,
    axes: usize,
    side: usize,
}

impl Maps {
    /// Of an aggregate; the target is known where the clients' data are at hand.
    pub fn of(domain: &GridDomain, results: &Results<GridDomain>) -> Result<Self> {
        let env = domain.environment().as_ref();
        let cells = exact_cells(env);
        let map = |weighted: &mut dyn Iterator<Item = (&Cell, f64)>| Map::of(env, weighted);
        let (learned, target) = match cells {
            Some(limit) => {
                let graph = StateGraph::enumerate(env, limit)?;
                let learned = graph.policy_distribution(env, results.policy);
                let target = results.preferences.map(|p| normalise(&graph.log_rewards(env, p)).1);
                let of = |p: &[f64]| map(&mut graph.objects().zip(p.iter().copied()));
                (of(&learned), target.map(|p| of(&p)))
            }
            None => {
                let designs = &results.found.designs;
                let rated =
                    designs.iter().filter_map(|d| d.rated.as_ref().map(|r| (&d.object, r.reweighted)));
                let target = results.preferences.map(|_| map(&mut rated.clone()));
                (map(&mut designs.iter().map(|d| (&d.object, d.share))), target)
            }
        };
        Ok(Maps { target, learned, is_exact: cells.is_some(), axes: env.dimensions(), side: env.side() })
    }

    /// Titles and maps, the target first.
    fn titled(&self) -> Vec<(&'static str, &Map)> {
        let target =
            self.target.iter().map(|map| (if self.is_exact { "target" } else { "samples, reweighted" }, map));
        target.chain([(if self.is_exact { "learned" } else { "samples" }, &self.learned)]).collect()
    }

    fn largest(&self) -> f64 {
        let all = self.titled().into_iter().flat_map(|(_, map)| &map.probabilities);
        all.copied().fold(0.0, f64::max)
    }

    /// What the maps show.
    fn caption(&self) -> String {
        let axes = match self.axes {
            1 => "the axis".to_string(),
            2 => "both axes".to_string(),
            n => format!("the first two of {n} axes"),
        };
        format!("probability over {axes}, from nothing to {:.4}", self.largest())
    }

    /// The maps side by side for the terminal; the origin is below, on the left.
    pub fn lines(&self) -> String {
        let maps: Vec<(&str, Map)> =
            self.titled().iter().map(|(title, map)| (*title, map.coarser(TERMINAL_FIELDS))).collect();
        let largest = maps.iter().flat_map(|(_, map)| &map.probabilities).copied().fold(0.0, f64::max);
        let mut text = format!("  Map, {}:\n", self.caption());
        let width = 2 * self.learned.coarser(TERMINAL_FIELDS).columns;
        let header: Vec<String> = maps.iter().map(|(title, _)| format!("{title:<width$}")).collect();
        let _ = writeln!(text, "     {}", header.join("    ").trim_end());
        for row in (0..maps[0].1.rows).rev() {
            let shade = |p: &f64| {
                let level = if largest > 0.0 { (p / largest * 4.0).ceil() as usize } else { 0 };
                SHADES[level.min(4)]
            };
            let line = |map: &Map| map.row(row).iter().map(shade).collect::<String>();
            let lines: Vec<String> = maps.iter().map(|(_, map)| format!("│{}│", line(map))).collect();
            let _ = writeln!(text, "    {}", lines.join("  "));
        }
        text
    }

    /// The maps side by side as a picture.
    pub fn svg(&self) -> String {
        let maps = self.titled();
        let largest = self.largest();
        let field = SIZE / self.learned.columns.max(self.learned.rows) as f64;
        let height = field * self.learned.rows as f64;
        let (all_width, all_height) =
            (MARGIN + maps.len() as f64 * (SIZE + MARGIN), height + 2.0 * MARGIN + 20.0);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all_width}\" height=\"{all_height}\" viewBox=\"0 0 {all_width} \
             {all_height}\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"white\"/>\n"
        );
        for (k, (title, map)) in maps.iter().enumerate() {
            let left = MARGIN + k as f64 * (SIZE + MARGIN);
            let _ = writeln!(text, "<text x=\"{left}\" y=\"{:.1}\">{title}</text>", MARGIN - 10.0);
            for row in 0..map.rows {
                for (column, p) in map.row(row).iter().enumerate() {
                    let share = if largest > 0.0 { p / largest } else { 0.0 };
                    let (x, y) = (left + column as f64 * field, MARGIN + (map.rows - 1 - row) as f64 * field);
                    let _ = writeln!(
                        text,
                        "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{field:.2}\" height=\"{field:.2}\" fill=\"{}\" \
                         stroke=\"#ccc\" stroke-width=\"0.3\"><title>{} {p:.3e}</title></rect>",
                        colour(share),
                        self.fields(column, row)
                    );
                }
            }
        }
        let caption = self.caption();
        let _ =
            writeln!(text, "<text x=\"{MARGIN}\" y=\"{:.1}\">{caption}</text>\n</svg>", all_height - 20.0);
        text
    }

    /// The coordinates of a field, those of its first cell where several share it.
    fn fields(&self, column: usize, row: usize) -> String {
        let first = |field: usize, fields: usize| (field * self.side).div_ceil(fields);
        let x = first(column, self.learned.columns);
        if self.axes == 1 { format!("({x})") } else { format!("({x}, {})", first(row, self.learned.rows)) }
    }
}

impl Map {
    /// Probabilities of cells, summed over all axes but the first two.
    fn of(env: &Grid, weighted: &mut dyn Iterator<Item = (&Cell, f64)>) -> Self {
        let columns = env.side().min(FIELDS);
        let rows = if env.dimensions() == 1 { 1 } else { columns };
        let mut probabilities = vec![0.0; columns * rows];
        let field = |x: u16| usize::from(x) * columns / env.side();
        for (cell, probability) in weighted {
            let [x, y, ..] = cell.coordinates;
            probabilities[field(y) * columns + field(x)] += probability;
        }
        Map { columns, rows, probabilities }
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.probabilities[row * self.columns..(row + 1) * self.columns]
    }

    /// The map with at most so many fields along an axis.
    fn coarser(&self, most: usize) -> Map {
        let (columns, rows) = (self.columns.min(most), self.rows.min(most));
        let mut probabilities = vec![0.0; columns * rows];
        for row in 0..self.rows {
            for (column, p) in self.row(row).iter().enumerate() {
                probabilities[row * rows / self.rows * columns + column * columns / self.columns] += p;
            }
        }
        Map { columns, rows, probabilities }
    }
}

/// From white to dark blue.
fn colour(share: f64) -> String {
    let mix = |from: f64, to: f64| (from + (to - from) * share.clamp(0.0, 1.0)).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(255.0, 8.0), mix(255.0, 48.0), mix(255.0, 107.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_sums_over_other_axes_and_keep_the_total() {
        let env = Grid::new(3, 4).unwrap();
        let cells = [[1u16, 2, 0], [1, 2, 3], [0, 3, 1]].map(|c| Cell::new(&c));
        let map = Map::of(&env, &mut cells.iter().zip([0.25, 0.5, 0.25]));
        assert_eq!((map.columns, map.rows), (4, 4));
        assert_eq!(map.row(2), [0.0, 0.75, 0.0, 0.0]);
        assert_eq!(map.row(3), [0.25, 0.0, 0.0, 0.0]);
        let coarse = map.coarser(2);
        assert_eq!(coarse.probabilities, [0.0, 0.0, 1.0, 0.0]);
        // Several cells to a field.
        let wide = Grid::new(1, 1000).unwrap();
        let map = Map::of(&wide, &mut [Cell::new(&[999]), Cell::new(&[0])].iter().zip([0.5, 0.5]));
        assert_eq!((map.columns, map.rows, map.probabilities[63]), (64, 1, 0.5));
    }

    #[test]
    fn colours_run_from_white_to_blue() {
        assert_eq!((colour(0.0), colour(1.0)), ("#ffffff".to_string(), "#08306b".to_string()));
    }
}
