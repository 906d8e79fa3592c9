//! A plot: two axes with ticks, curves and marks on them. Knows nothing of brokers.

use std::fmt::Write;

/// Size of a plot, in its own units.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 320.0;
/// Room for the labels: left, right, top, bottom.
const ROOM: (f64, f64, f64, f64) = (64.0, 34.0, 12.0, 40.0);

/// How values become places.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// Equal steps are equally far.
    Linear,
    /// Equal ratios are equally far.
    Log,
    /// Percentiles from 0 to 100: each further nine has the same room.
    Nines,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Log => value.max(1e-9).log10(),
            Scale::Nines => -((100.0 - value.min(99.9999)) / 100.0).log10(),
        }
    }
}

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
    /// Places with their labels.
    pub ticks: Vec<(f64, String)>,
    pub title: &'static str,
}

impl Axis {
    /// From 0 to a round number above `most`.
    pub fn linear(most: f64, title: &'static str) -> Axis {
        let step = step_of(most / 6.0);
        let count = (most / step).ceil().max(1.0);
        let tick = |i: i64| (i as f64 * step, number(i as f64 * step));
        Axis {
            scale: Scale::Linear,
            from: 0.0,
            to: count * step,
            ticks: (0..=count as i64).map(tick).collect(),
            title,
        }
    }

    /// Whole powers of ten around the values.
    pub fn log(least: f64, most: f64, title: &'static str) -> Axis {
        let (from, to) = (least.max(1e-6).log10().floor(), most.max(1e-6).log10().ceil());
        let to = if to <= from { from + 1.0 } else { to };
        let tick = |power: i32| (10f64.powi(power), number(10f64.powi(power)));
        Axis {
            scale: Scale::Log,
            from: 10f64.powf(from),
            to: 10f64.powf(to),
            ticks: (from as i32..=to as i32).map(tick).collect(),
            title,
        }
    }

    /// 0 to 99.999 percent.
    pub fn nines(title: &'static str) -> Axis {
        let ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
        Axis {
            scale: Scale::Nines,
            from: 0.0,
            to: 99.999,
            ticks: ticks.map(|percent| (percent, format!("{percent}"))).to_vec(),
            title,
        }
    }

    /// Place of a value between 0 and 1.
    fn share(&self, value: f64) -> f64 {
        let (from, to) = (self.scale.place(self.from), self.scale.place(self.to));
        ((self.scale.place(value) - from) / (to - from)).clamp(0.0, 1.0)
    }
}

/// A step of 1, 2 or 5 times a power of ten, at least `least`.
fn step_of(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-9).log10().floor());
    let fits = |factor: &f64| factor * power >= least;
    [1.0, 2.0, 5.0, 10.0].into_iter().find(fits).unwrap_or(10.0) * power
}

/// `20,000`, `0.05`.
pub(super) fn number(value: f64) -> String {
    if value < 1000.0 {
        let text = format!("{value:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A plot in the making.
pub(super) struct Plot {
    x: Axis,
    y: Axis,
    marks: String,
}

impl Plot {
    pub fn new(x: Axis, y: Axis) -> Plot {
        Plot {
            x,
            y,
            marks: String::new(),
        }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (left, right, top, bottom) = ROOM;
        (
            left + self.x.share(x) * (WIDTH - left - right),
            HEIGHT - bottom - self.y.share(y) * (HEIGHT - top - bottom),
        )
    }

    /// A line through the points, in a class of the style sheet.
    pub fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let place = |(x, y): &(f64, f64)| {
            let (x, y) = self.at(*x, *y);
            format!("{x:.1},{y:.1}")
        };
        let places: Vec<String> = points.iter().map(place).collect();
        let _ = write!(
            self.marks,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            places.join(" ")
        );
    }

    /// A mark with a text that appears on pointing at it.
    pub fn dot(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let (x, y) = self.at(x, y);
        let _ = write!(
            self.marks,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title></circle>",
            super::escape(text)
        );
    }

    /// A filled cell between two corners, `share` from 0 (unseen) to 1.
    pub fn cell(&mut self, class: &str, low: (f64, f64), high: (f64, f64), share: f64, text: &str) {
        let ((left, bottom), (right, top)) = (self.at(low.0, low.1), self.at(high.0, high.1));
        let _ = write!(
            self.marks,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" opacity=\"{share:.3}\"><title>{}</title></rect>",
            (right - left).max(0.5),
            (bottom - top).max(0.5),
            super::escape(text)
        );
    }

    /// The finished picture; `label` is read out by screen readers.
    pub fn svg(self, label: &str) -> String {
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            super::escape(label)
        );
        let (left, right, top, bottom) = ROOM;
        for (value, text) in &self.y.ticks {
            let (_, y) = self.at(self.x.from, *value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{left}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                WIDTH - right,
                left - 8.0,
                y + 4.0
            );
        }
        for (value, text) in &self.x.ticks {
            let (x, _) = self.at(*value, self.y.from);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                HEIGHT - bottom,
                HEIGHT - bottom + 16.0
            );
        }
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{top}\" transform=\"rotate(-90 14 {top})\" text-anchor=\"end\">{}</text>",
            WIDTH - right,
            HEIGHT - 6.0,
            self.x.title,
            14.0,
            self.y.title
        );
        out + &self.marks + "</svg>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ends() {
        assert_eq!(Axis::linear(47_000.0, "").to, 50_000.0);
        let axis = Axis::log(0.09, 23.0, "");
        assert!((axis.from - 0.01).abs() < 1e-9 && (axis.to - 100.0).abs() < 1e-9);
    }

    #[test]
    fn each_nine_has_the_same_room() {
        let axis = Axis::nines("");
        let step = axis.share(99.0) - axis.share(90.0);
        assert!((axis.share(99.9) - axis.share(99.0) - step).abs() < 1e-6);
    }

    #[test]
    fn numbers_have_their_commas() {
        assert_eq!(number(20_000.0), "20,000");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(0.05), "0.05");
    }
}
