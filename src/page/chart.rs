//! A line chart as a self-contained SVG: curves over a shared axis, a legend, and at most one marked point. Must not know
//! what is drawn.
//!
//! The text of the picture is small whatever was measured: a curve of more points than there are columns is drawn column by
//! column, first, lowest, highest and last value of each, so that a single spike stays visible.

use std::fmt::Write as _;

/// Width and height of the picture in its own units; it fills whatever it is put into.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Where the plot lies: left, top, right and bottom edge. The legend lies below.
const LEFT: f64 = 64.0;
const TOP: f64 = 44.0;
const RIGHT: f64 = WIDTH - 18.0;
const BOTTOM: f64 = HEIGHT - 80.0;
/// Points that a curve may have before it is drawn column by column.
const MOST_POINTS: usize = 1000;
/// Columns of a curve that is.
const COLUMNS: usize = 320;
/// About so many ticks an axis has.
const TICKS: f64 = 6.0;
/// Colours of the curves, told apart by people who see fewer colours too; each with the one for dark pages.
pub(super) const COLOURS: [(&str, &str); 6] = [
    ("#0b62a4", "#6cb2ee"),
    ("#c2410c", "#fb9a5c"),
    ("#15803d", "#63c987"),
    ("#7e3794", "#cf95e3"),
    ("#8a6d00", "#e0bf45"),
    ("#475569", "#b3bfcd"),
];
/// Dashes that tell the second six curves from the first.
const DASHES: [&str; 3] = ["", "6 3", "2 3"];

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Its points (x, y), x ascending. A point that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
}

/// A point that is pointed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What it is: `best epoch`.
    pub name: String,
    /// Where it is.
    pub point: (f64, f64),
}

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// What the picture says, in a sentence, for those who do not see it.
    pub description: String,
    /// What is along the bottom, with its unit.
    pub x: String,
    /// What is along the left, with its unit.
    pub y: String,
    /// The curves.
    pub curves: Vec<Curve>,
    /// The one point that is pointed out.
    pub mark: Option<Mark>,
}

impl Chart {
    /// The picture: an `svg` element that needs nothing from outside, and follows the light or dark of its page. A chart
    /// without a finite point has axes and says that there are no values.
    pub fn svg(&self) -> String {
        let points = self.curves.iter().flat_map(|curve| &curve.points).chain(self.mark.iter().map(|mark| &mark.point));
        let finite: Vec<(f64, f64)> = points.copied().filter(is_finite).collect();
        let x = Axis::over(finite.iter().map(|(x, _)| *x)).ending_with(finite.iter().map(|(x, _)| *x));
        let y = Axis::over(finite.iter().map(|(_, y)| *y));
        let mut svg = head(&self.title, &self.description);
        self.axes(&mut svg, &x, &y);
        if finite.is_empty() {
            let middle = (LEFT + RIGHT) / 2.0;
            text(&mut svg, "middle", (middle, (TOP + BOTTOM) / 2.0), "", "no values yet");
        }
        for (index, curve) in self.curves.iter().enumerate() {
            draw(&mut svg, index, curve, &x, &y);
        }
        self.legend(&mut svg);
        if let Some(mark) = self.mark.as_ref().filter(|mark| is_finite(&mark.point)) {
            point_out(&mut svg, mark, &x, &y);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        for tick in x.ticks() {
            let at = x.place(tick, LEFT, RIGHT);
            line(svg, "grid", (at, TOP), (at, BOTTOM));
            text(svg, "middle", (at, BOTTOM + 16.0), "", &x.label(tick));
        }
        for tick in y.ticks() {
            let at = y.place(tick, BOTTOM, TOP);
            line(svg, "grid", (LEFT, at), (RIGHT, at));
            text(svg, "end", (LEFT - 6.0, at + 4.0), "", &y.label(tick));
        }
        line(svg, "axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
        line(svg, "axis", (LEFT, TOP), (LEFT, BOTTOM));
        text(svg, "start", (LEFT, 22.0), "title", &self.title);
        text(svg, "middle", ((LEFT + RIGHT) / 2.0, BOTTOM + 34.0), "", &self.x);
        let middle = (TOP + BOTTOM) / 2.0;
        let turned = format!(" transform=\"rotate(-90 14 {})\"", number(middle));
        text_with(svg, "middle", (14.0, middle), "", &turned, &self.y);
    }

    fn legend(&self, svg: &mut String) {
        let (mut at, mut row) = (LEFT, BOTTOM + 54.0);
        for (index, curve) in self.curves.iter().enumerate() {
            let width = 30.0 + 6.6 * curve.name.chars().count() as f64 + 14.0;
            if at + width > RIGHT && at > LEFT {
                (at, row) = (LEFT, row + 16.0);
            }
            let _ = writeln!(
                svg,
                "<path class=\"c{}\"{} d=\"M{} {}h24\"/>",
                index % COLOURS.len(),
                dash(index),
                number(at),
                number(row - 4.0)
            );
            text(svg, "start", (at + 30.0, row), "", &curve.name);
            at += width;
        }
    }
}

fn is_finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// The range of an axis, and the distance of its ticks, which lie at round numbers.
pub(super) struct Axis {
    pub(super) first: f64,
    pub(super) last: f64,
    pub(super) step: f64,
}

impl Axis {
    /// Over all values, from a tick to a tick.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            // Beyond these no step can be told from the next one.
            let value = value.clamp(-1e300, 1e300);
            (low.min(value), high.max(value))
        });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= 1e-12 * low.abs().max(high.abs()).max(1e-290) {
            let around = if low == 0.0 { 1.0 } else { (low.abs() * 0.1).max(1e-290) };
            (low, high) = (low - around, high + around);
        }
        let rough = (high - low) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        Self { first: (low / step).floor() * step, last: (high / step).ceil() * step, step }
    }

    /// From the least value to the greatest and no further, if there are two.
    pub(super) fn ending_with(self, values: impl Iterator<Item = f64> + Clone) -> Self {
        let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
        let fits = high - low > self.step && low >= self.first && high <= self.last;
        if fits { Self { first: low, last: high, ..self } } else { self }
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        let first = (self.first / self.step - 1e-6).ceil();
        let count = ((self.last / self.step + 1e-6).floor() - first).clamp(0.0, 4.0 * TICKS) as usize;
        (0..=count).map(move |index| (first + index as f64) * self.step)
    }

    /// Where a value lies between two edges.
    pub(super) fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let share = (value - self.first) / (self.last - self.first);
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// A tick in as few digits as tell it from the next one.
    pub(super) fn label(&self, tick: f64) -> String {
        let most = self.first.abs().max(self.last.abs());
        if most >= 1e6 || self.step < 1e-4 {
            // Digits that tell ticks apart: as many as lie between the largest tick and the step.
            let digits = (most.log10().floor() - self.step.log10().floor()).clamp(0.0, 12.0) as usize;
            return format!("{tick:.digits$e}");
        }
        let digits = (-self.step.log10().floor()).clamp(0.0, 6.0) as usize;
        let label = format!("{tick:.digits$}");
        if label.trim_start_matches('-').chars().all(|digit| matches!(digit, '0' | '.')) {
            return label.trim_start_matches('-').to_owned();
        }
        label
    }
}

/// One curve, in as many strokes as it has stretches without a gap; a point alone between gaps is a dot.
fn draw(svg: &mut String, index: usize, curve: &Curve, x: &Axis, y: &Axis) {
    let class = format!("c{}", index % COLOURS.len());
    for stretch in thinned(&curve.points, x).split(|point| !is_finite(point)) {
        let place = |(along, up): &(f64, f64)| (x.place(*along, LEFT, RIGHT), y.place(*up, BOTTOM, TOP));
        match stretch {
            [] => {}
            [alone] => {
                let (cx, cy) = place(alone);
                let _ = writeln!(
                    svg,
                    "<circle class=\"{class} dot\" cx=\"{}\" cy=\"{}\" r=\"2\"/>",
                    number(cx),
                    number(cy)
                );
            }
            points => {
                let _ = write!(svg, "<path class=\"{class}\"{} d=\"", dash(index));
                for (at, point) in points.iter().enumerate() {
                    let (px, py) = place(point);
                    let _ = write!(svg, "{}{} {}", if at == 0 { "M" } else { "L" }, number(px), number(py));
                }
                svg.push_str("\"/>\n");
            }
        }
    }
}

/// The points as they are drawn: all of a short curve; of a longer one, in each column the first, the lowest, the highest
/// and the last, in their order, and a gap where the column has one.
pub(super) fn thinned(points: &[(f64, f64)], x: &Axis) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let column = |point: &(f64, f64)| {
        let share = x.place(point.0, 0.0, COLUMNS as f64);
        if share.is_finite() { share as usize } else { usize::MAX }
    };
    let mut kept = Vec::with_capacity(COLUMNS * 5);
    for stretch in points.split_inclusive(|point| !is_finite(point)) {
        let (gap, stretch) = match stretch.split_last() {
            Some((last, before)) if !is_finite(last) => (Some(*last), before),
            _ => (None, stretch),
        };
        for column in stretch.chunk_by(|one, other| column(one) == column(other)) {
            let by_height = |one: &&usize, other: &&usize| column[**one].1.total_cmp(&column[**other].1);
            let places: Vec<usize> = (0..column.len()).collect();
            let mut wanted = vec![0, column.len() - 1];
            wanted.extend(places.iter().min_by(by_height).into_iter().chain(places.iter().max_by(by_height)));
            wanted.sort_unstable();
            wanted.dedup();
            kept.extend(wanted.into_iter().filter_map(|place| column.get(place)));
        }
        kept.extend(gap.filter(|_| kept.last().is_some_and(is_finite)));
    }
    kept
}

fn point_out(svg: &mut String, mark: &Mark, x: &Axis, y: &Axis) {
    let (px, py) = (x.place(mark.point.0, LEFT, RIGHT), y.place(mark.point.1, BOTTOM, TOP));
    let _ = writeln!(svg, "<circle class=\"mark\" cx=\"{}\" cy=\"{}\" r=\"4.5\"/>", number(px), number(py));
    // Beside the point, on the side that has room, and below it at the very top.
    let (anchor, to) = if px > (LEFT + RIGHT) / 2.0 { ("end", px - 8.0) } else { ("start", px + 8.0) };
    let up = if py < TOP + 14.0 { py + 16.0 } else { py - 8.0 };
    text(svg, anchor, (to, up), "strong", &mark.name);
}

fn head(title: &str, description: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{}</title>\n<desc>{}</desc>\n",
        escaped(title),
        escaped(description)
    );
    let mut light = String::new();
    let mut dark = String::new();
    for (index, (on_light, on_dark)) in COLOURS.iter().enumerate() {
        let _ = write!(light, ".c{index}{{stroke:{on_light}}}.c{index}.dot{{fill:{on_light}}}");
        let _ = write!(dark, ".c{index}{{stroke:{on_dark}}}.c{index}.dot{{fill:{on_dark}}}");
    }
    let _ = writeln!(
        svg,
        "<style>text{{fill:#1f2937}}.title{{font-size:15px;font-weight:600}}.strong{{font-weight:600}}\
         .grid{{stroke:#e5e7eb}}.axis{{stroke:#6b7280}}path{{fill:none;stroke-width:1.6;stroke-linejoin:round}}\
         .mark{{fill:none;stroke:#1f2937;stroke-width:1.6}}{light}\
         @media (prefers-color-scheme: dark){{text{{fill:#e5e7eb}}.grid{{stroke:#374151}}.axis{{stroke:#9ca3af}}\
         .mark{{stroke:#e5e7eb}}{dark}}}</style>"
    );
    svg
}

fn dash(index: usize) -> String {
    match DASHES.get(index / COLOURS.len() % DASHES.len()) {
        Some(dash) if !dash.is_empty() => format!(" stroke-dasharray=\"{dash}\""),
        _ => String::new(),
    }
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
        number(from.0),
        number(from.1),
        number(to.0),
        number(to.1)
    );
}

fn text(svg: &mut String, anchor: &str, at: (f64, f64), class: &str, words: &str) {
    text_with(svg, anchor, at, class, "", words);
}

fn text_with(svg: &mut String, anchor: &str, (x, y): (f64, f64), class: &str, more: &str, words: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(
        svg,
        "<text{class} x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\"{more}>{}</text>",
        number(x),
        number(y),
        escaped(words)
    );
}

/// A coordinate to a tenth.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Text as XML holds it; control characters, which XML has no place for, are left out.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(' '),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chart(curves: Vec<(&str, Vec<(f64, f64)>)>) -> Chart {
        let curves = curves.into_iter().map(|(name, points)| Curve { name: name.to_owned(), points });
        Chart {
            title: "Loss".to_owned(),
            description: "The loss falls.".to_owned(),
            x: "epoch".to_owned(),
            y: "loss".to_owned(),
            curves: curves.collect(),
            mark: None,
        }
    }

    fn count(svg: &str, what: &str) -> usize {
        svg.matches(what).count()
    }

    #[test]
    fn a_chart_names_its_axes_curves_and_best_point_for_everyone() {
        let mut chart = chart(vec![("train", vec![(0.0, 3.0), (1.0, 1.0)]), ("val", vec![(0.5, 2.5), (1.0, 2.0)])]);
        chart.mark = Some(Mark { name: "best epoch".to_owned(), point: (1.0, 2.0) });
        let svg = chart.svg();
        for wanted in ["<title>Loss</title>", "<desc>The loss falls.</desc>", ">epoch<", ">loss<", ">train<", ">val<"] {
            assert!(svg.contains(wanted), "{wanted}");
        }
        assert!(svg.contains(">best epoch<") && svg.contains("prefers-color-scheme: dark"));
        assert_eq!(count(&svg, "<path class=\"c0\""), 2, "the curve and its line in the legend");
        assert!(!svg.contains("http") || count(&svg, "http") == 1, "nothing is loaded from elsewhere");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn ticks_are_round_numbers_that_hold_all_values() {
        for (low, high, wanted) in [
            (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"].as_slice()),
            (3.0, 27.0, &["0", "5", "10", "15", "20", "25", "30"]),
            (-0.013, 0.021, &["-0.02", "-0.01", "0", "0.01", "0.02", "0.03"]),
            (0.0, 3e6, &["0", "5e5", "1e6", "1.5e6", "2e6", "2.5e6", "3e6"]),
        ] {
            let axis = Axis::over([low, high].into_iter());
            let labels: Vec<f64> = axis.ticks().map(|tick| axis.label(tick).parse().unwrap()).collect();
            let wanted: Vec<f64> = wanted.iter().map(|label| label.parse().unwrap()).collect();
            assert_eq!(labels, wanted, "{low} to {high}");
            assert!(axis.first <= low && axis.last >= high);
        }
        let zero = Axis::over([-0.013, 0.021].into_iter());
        assert_eq!(zero.ticks().map(|tick| zero.label(tick)).filter(|label| label.starts_with("-0.00")).count(), 0);
    }

    #[test]
    fn odd_ranges_come_to_an_end_and_to_finite_coordinates() {
        let all = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1e300, f64::MAX, f64::MIN, f64::EPSILON, 1.0 + f64::EPSILON];
        for one in all {
            for other in all {
                let svg = chart(vec![("a", vec![(one, other), (other, one)])]).svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{one} {other}\n{svg}");
                assert!(svg.len() < 20_000, "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_a_gap_and_an_empty_chart_says_so() {
        let gap = f64::NAN;
        let svg = chart(vec![(
            "a",
            vec![(0.0, 1.0), (1.0, 2.0), (2.0, gap), (3.0, 1.0), (4.0, gap), (5.0, 0.0), (6.0, 1.0)],
        )]);
        let svg = svg.svg();
        assert_eq!((count(&svg, "<path class=\"c0\""), count(&svg, "c0 dot")), (3, 1));
        for points in [vec![], vec![(gap, 1.0)], vec![(1.0, f64::INFINITY)]] {
            let svg = chart(vec![("a", points)]).svg();
            assert!(svg.contains("no values yet") && !svg.contains("NaN") && !svg.contains("inf"));
        }
        assert!(Chart::default().svg().contains("no values yet"));
    }

    #[test]
    fn a_long_curve_is_short_and_keeps_its_spikes() {
        let spikes = [7_777, 123_456, 199_999];
        let points: Vec<(f64, f64)> = (0..200_000)
            .map(|step| (f64::from(step), if spikes.contains(&step) { 50.0 } else { (f64::from(step) / 900.0).sin() }))
            .collect();
        let drawn = chart(vec![("loss", points.clone())]);
        let axis = Axis::over(points.iter().map(|(x, _)| *x));
        let kept = thinned(&points, &axis);
        assert!(kept.len() <= (COLUMNS + 1) * 4, "{}", kept.len());
        for spike in spikes {
            assert!(kept.contains(&(f64::from(spike), 50.0)), "{spike}");
        }
        assert!(kept.is_sorted_by_key(|(x, _)| *x));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[points.len() - 1]));
        assert!(drawn.svg().len() < 40_000);
        let mut broken = points;
        broken[100_000].1 = f64::NAN;
        let svg = chart(vec![("loss", broken)]).svg();
        assert_eq!(count(&svg, "<path class=\"c0\""), 3, "two stretches and the legend");
    }

    #[test]
    fn text_cannot_leave_its_place() {
        let mut chart = chart(vec![("<script>&\"'", vec![(0.0, 0.0)])]);
        chart.title = "a</title><b>\u{1}\nc".to_owned();
        let svg = chart.svg();
        assert!(svg.contains("&lt;script&gt;&amp;&quot;&#39;") && !svg.contains("<script>"));
        assert!(svg.contains("<title>a&lt;/title&gt;&lt;b&gt; c</title>"));
    }
}
