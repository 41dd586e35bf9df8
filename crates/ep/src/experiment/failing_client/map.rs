//! Maps of probabilities over the grid, side by side, as SVG.

use std::fmt::Write as _;

/// Pixels of a map's side, and around it.
const SIZE: f64 = 240.0;
const MARGIN: f64 = 34.0;

/// A map: title, and the probability of each cell, the second coordinate row by row from the origin.
pub struct Map {
    /// Its title.
    pub title: String,
    /// side × side probabilities.
    pub probabilities: Vec<f64>,
}

/// Draws maps of `side` × `side` cells with one scale for all; the origin is below, on the left. Cells of `framed` have a
/// red frame.
pub fn draw_maps(title: &str, side: usize, maps: &[Map], framed: &dyn Fn(usize, usize) -> bool) -> String {
    let largest = maps.iter().flat_map(|map| &map.probabilities).copied().fold(f64::MIN_POSITIVE, f64::max);
    let field = SIZE / side as f64;
    let (width, height) = (MARGIN + maps.len() as f64 * (SIZE + MARGIN), SIZE + 3.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"18\">{title}</text>\n"
    );
    for (k, map) in maps.iter().enumerate() {
        let (left, top) = (MARGIN + k as f64 * (SIZE + MARGIN), 2.0 * MARGIN);
        let _ = writeln!(text, "<text x=\"{left}\" y=\"{:.1}\">{}</text>", top - 8.0, map.title);
        for (cell, p) in map.probabilities.iter().enumerate() {
            let (x, y) = (cell % side, cell / side);
            let (across, down) = (left + x as f64 * field, top + (side - 1 - y) as f64 * field);
            let frame = if framed(x, y) { "#d55e00" } else { "#cccccc" };
            let _ = writeln!(
                text,
                "<rect x=\"{across:.1}\" y=\"{down:.1}\" width=\"{field:.1}\" height=\"{field:.1}\" fill=\"{}\" \
                 stroke=\"{frame}\" stroke-width=\"0.8\"><title>({x}, {y}) {p:.2e}</title></rect>",
                shade(p / largest)
            );
        }
    }
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"{:.1}\">probability of a cell, from 0 (white) to {largest:.3} (black)</text>\n</svg>",
        height - 12.0
    );
    text
}

/// White at 0, black at 1; the square root shows small probabilities too.
fn shade(share: f64) -> String {
    let level = (255.0 * (1.0 - share.clamp(0.0, 1.0).sqrt())).round() as u8;
    format!("#{level:02x}{level:02x}{level:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_have_a_rectangle_for_each_cell_and_one_scale() {
        let map = |p: [f64; 4]| Map { title: "a map".into(), probabilities: p.to_vec() };
        let maps = [map([0.5, 0.5, 0.0, 0.0]), map([0.125, 0.0, 0.0, 0.875])];
        let svg = draw_maps("Maps", 2, &maps, &|x, y| x == 1 && y == 1);
        assert_eq!(svg.matches("<rect").count(), 9);
        assert_eq!(svg.matches("#000000").count(), 1);
        assert_eq!(svg.matches("#d55e00").count(), 2);
        assert!(svg.contains("(1, 1) 8.75e-1") && svg.contains("to 0.875"));
    }
}
