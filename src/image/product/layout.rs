//! Where on the canvas what is framed lies, and how large: numbers only. Must not touch pixels.

use super::super::Error;
use super::subject::Area;
use super::{Align, Canvas, Frame};

/// Most pixels a side of a canvas.
pub(super) const MOST: u32 = 30_000;
/// Most pixels of a canvas: what may be decoded, and a quarter more.
const MOST_PIXELS: u64 = 250_000_000;

/// A canvas and what lies on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placed {
    /// Width and height of the canvas in pixels.
    pub(super) canvas: (u32, u32),
    /// What of the picture is framed, in the picture's pixels.
    pub(super) content: Area,
    /// The canvas pixel where its upper left corner lies.
    pub(super) at: (u32, u32),
    /// Canvas pixels for one of the picture's.
    pub(super) scale: f64,
    /// Where the subject is in the picture, if there is one and it was looked for.
    pub(super) subject: Option<Area>,
}

impl Placed {
    /// The canvas place of a place in the picture, both in pixels from the upper left corner.
    pub(super) fn to_canvas(self, (x, y): (f64, f64)) -> (f64, f64) {
        let along = |value: f64, from: u32, at: u32| (value - f64::from(from)) * self.scale + f64::from(at);
        (along(x, self.content.left, self.at.0), along(y, self.content.top, self.at.1))
    }

    /// The picture place of a place on the canvas.
    pub(super) fn to_picture(self, (x, y): (f64, f64)) -> (f64, f64) {
        let along = |value: f64, from: u32, at: u32| (value - f64::from(at)) / self.scale + f64::from(from);
        (along(x, self.content.left, self.at.0), along(y, self.content.top, self.at.1))
    }

    /// The share of the canvas that the subject takes: of its sides over the canvas' sides, the larger.
    pub(super) fn fill(&self) -> Option<f64> {
        let subject = self.subject?;
        let share = |side: u32, canvas: u32| f64::from(side) * self.scale / f64::from(canvas);
        Some(share(subject.width(), self.canvas.0).max(share(subject.height(), self.canvas.1)))
    }

    /// Whether the canvas is the picture itself.
    pub(super) fn is_picture(&self, picture: (u32, u32)) -> bool {
        self.canvas == picture && self.at == (0, 0) && self.scale == 1.0 && self.content == whole(picture)
    }
}

/// A share as it was written: 0.8, and not the next number to it that 32 bits can hold.
pub(super) fn meant(share: f32) -> f64 {
    (f64::from(share) * 1e6).round() / 1e6
}

fn whole((right, bottom): (u32, u32)) -> Area {
    Area { left: 0, top: 0, right, bottom }
}

/// Places a picture of a size, of which the subject takes an area, by a checked frame. A picture without a subject is framed
/// whole.
pub(super) fn place(picture: (u32, u32), subject: Option<Area>, frame: &Frame) -> Result<Placed, Error> {
    let (content, fill) = match subject {
        Some(subject) if frame.crop => (subject, frame.fill.map_or(1.0, meant)),
        _ => (whole(picture), 1.0),
    };
    let (width, height) = (f64::from(content.width()), f64::from(content.height()));
    let longer = width.max(height);
    let margin = meant(frame.margin);
    let room = (margin * longer).round();
    // The smallest square that keeps both the margin and the share, without scaling.
    let square = (longer + 2.0 * room).max((longer / fill).ceil());
    let largest = |(across, down): (f64, f64)| {
        let by_fill = (fill * across / width).min(fill * down / height);
        by_fill.min(across / (width + 2.0 * margin * longer)).min(down / (height + 2.0 * margin * longer))
    };
    let limit = meant(frame.max_upscale);
    let (canvas, scale) = match frame.canvas {
        Canvas::Own => ((width + 2.0 * room, height + 2.0 * room), 1.0),
        Canvas::Square => ((square, square), 1.0),
        Canvas::Between { least, most } => {
            let side = square.clamp(f64::from(least), f64::from(most));
            let scale = if side == square { 1.0 } else { largest((side, side)).min(limit.max(1.0)) };
            ((side, side), scale)
        }
        Canvas::Size { width, height } => {
            let canvas = (f64::from(width), f64::from(height));
            (canvas, largest(canvas).min(limit))
        }
    };
    let found = canvas.0 * canvas.1;
    if canvas.0 > f64::from(MOST) || canvas.1 > f64::from(MOST) || found > MOST_PIXELS as f64 {
        return Err(Error::TooLarge { found: found as u64, allowed: MOST_PIXELS, unit: "pixels of canvas" });
    }
    let start = |align: Align, canvas: f64, side: f64| {
        let free = (canvas - side * scale).max(0.0);
        let kept = (margin * longer * scale).min(free / 2.0);
        let start = match align {
            Align::Start => kept,
            Align::Middle => free / 2.0,
            Align::End => free - kept,
        };
        start.round() as u32
    };
    let at = (start(frame.align.0, canvas.0, width), start(frame.align.1, canvas.1, height));
    Ok(Placed { canvas: (canvas.0 as u32, canvas.1 as u32), content, at, scale, subject })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A subject of 400 × 800 in a picture of 1000 × 1200.
    const SUBJECT: Area = Area { left: 300, top: 200, right: 700, bottom: 1000 };

    fn placed(frame: Frame) -> Placed {
        place((1000, 1200), Some(SUBJECT), &frame).unwrap()
    }

    fn cropped(canvas: Canvas, fill: Option<f32>) -> Frame {
        Frame { crop: true, canvas, fill, ..Frame::default() }
    }

    #[test]
    fn the_whole_picture_stays_where_it_was() {
        assert!(placed(Frame::default()).is_picture((1000, 1200)));
        let square = placed(Frame { canvas: Canvas::Square, ..Frame::default() });
        assert_eq!((square.canvas, square.at, square.scale), ((1200, 1200), (100, 0), 1.0));
    }

    #[test]
    fn a_margin_is_a_share_of_the_longer_side() {
        let own = placed(Frame { margin: 0.05, ..cropped(Canvas::Own, None) });
        assert_eq!((own.canvas, own.at, own.content), ((480, 880), (40, 40), SUBJECT));
    }

    #[test]
    fn a_fill_is_reached_to_the_pixel_by_canvas_or_by_scale() {
        let square = placed(cropped(Canvas::Square, Some(0.8)));
        assert_eq!((square.canvas, square.at, square.scale), ((1000, 1000), (300, 100), 1.0));
        let exact = placed(cropped(Canvas::Size { width: 500, height: 500 }, Some(0.8)));
        assert_eq!((exact.canvas, exact.at, exact.scale), ((500, 500), (150, 50), 0.5));
        let wide = placed(cropped(Canvas::Size { width: 2000, height: 500 }, Some(0.8)));
        assert!((wide.fill().unwrap() - 0.8).abs() < 1e-6);
    }

    #[test]
    fn a_square_between_two_sizes_is_scaled_only_where_it_must_be() {
        let between = |least, most| placed(cropped(Canvas::Between { least, most }, Some(0.8)));
        assert_eq!((between(800, 1200).canvas.0, between(800, 1200).scale), (1000, 1.0));
        assert_eq!((between(100, 500).canvas.0, between(100, 500).scale), (500, 0.5));
        // No enlarging by default: the canvas grows all the same, and the subject stays small.
        let small = between(2000, 3000);
        assert_eq!((small.canvas, small.scale, small.fill()), ((2000, 2000), 1.0, Some(0.4)));
        let frame = Frame { max_upscale: 1.5, ..cropped(Canvas::Between { least: 2000, most: 3000 }, Some(0.8)) };
        assert_eq!((placed(frame).scale, placed(frame).fill()), (1.5, Some(0.6)));
    }

    #[test]
    fn alignment_keeps_the_margin() {
        for (align, at) in [
            ((Align::Start, Align::Start), (40, 40)),
            ((Align::Middle, Align::End), (800, 1160)),
            ((Align::End, Align::Middle), (1560, 600)),
        ] {
            let canvas = Canvas::Size { width: 2000, height: 2000 };
            assert_eq!(placed(Frame { align, margin: 0.05, ..cropped(canvas, None) }).at, at);
        }
    }

    #[test]
    fn nothing_found_frames_the_whole_picture() {
        let frame = cropped(Canvas::Size { width: 600, height: 600 }, Some(0.5));
        let placed = place((1000, 1200), None, &frame).unwrap();
        assert_eq!((placed.content, placed.scale, placed.fill()), (whole((1000, 1200)), 0.5, None));
    }

    #[test]
    fn a_canvas_beyond_all_measure_is_refused() {
        let frame = Frame { margin: 10.0, ..Frame::default() };
        assert!(matches!(place((4000, 4000), None, &frame), Err(Error::TooLarge { .. })));
    }
}
