//! Products of a cutout: forms, frames, backgrounds, shadows, and whether they comply.
#![allow(clippy::unwrap_used)]

use crate::images::decoded;
use selvedge::image::product::{
    Align, Backdrop, Background, Canvas, Content, Form, Frame, Made, PRESETS, Product, Rule, Shadow, make, preset,
};
use selvedge::image::{Cutout, DecodedImage, encode, probe};
use std::sync::Arc;

const COLOUR: [u8; 3] = [120, 40, 60];
const DPI: Option<(f32, f32)> = Some((300.0, 300.0));

/// An ellipse of one colour with an edge some pixels soft, that fills `area` (left, top, right, bottom) to the pixel.
fn cutout((width, height): (u32, u32), area: [u32; 4], colour: [u8; 3]) -> Cutout {
    let [left, top, right, bottom] = area.map(f64::from);
    let (middle_x, middle_y) = ((left + right) / 2.0, (top + bottom) / 2.0);
    let (across, down) = ((right - left) / 2.0, (bottom - top) / 2.0);
    let mut rgba = vec![0; (width * height * 4) as usize];
    for (index, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let (x, y) = ((index as u32 % width) as f64 + 0.5, (index as u32 / width) as f64 + 0.5);
        let (dx, dy) = (x - middle_x, y - middle_y);
        let inside = (1.0 - (dx / across).hypot(dy / down)) * across.min(down);
        let alpha = ((inside + 1.5) / 3.0).clamp(0.0, 1.0) * 255.0;
        if alpha >= 1.0 && x > left && x < right && y > top && y < bottom {
            pixel.copy_from_slice(&[colour[0], colour[1], colour[2], alpha as u8]);
        }
    }
    Cutout { width, height, rgba }
}

fn garment() -> Cutout {
    cutout((600, 800), [150, 100, 450, 700], COLOUR)
}

fn on_white(form: Form, frame: Frame) -> Product {
    Product { form, frame, background: Some(Background::Colour([255; 3])), ..Product::default() }
}

fn made(cutout: &Cutout, product: &Product) -> Made {
    let made = make(cutout, DPI, product).unwrap();
    let facts = probe(&made.bytes).unwrap();
    assert_eq!((facts.stored_width, facts.stored_height), (made.width, made.height));
    made
}

fn seen(cutout: &Cutout, product: &Product) -> DecodedImage {
    decoded(made(cutout, product).bytes).unwrap()
}

fn at(image: &DecodedImage, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * image.width + x) * 3) as usize;
    image.rgb[at..at + 3].try_into().unwrap()
}

/// The box of what is not `ground`: left, top, right, bottom.
fn drawn(image: &DecodedImage, ground: [u8; 3], tolerance: u8) -> [u32; 4] {
    let mut found = [u32::MAX, u32::MAX, 0, 0];
    for (index, pixel) in (0_u32..).zip(image.rgb.chunks_exact(3)) {
        if pixel.iter().zip(ground).any(|(value, ground)| value.abs_diff(ground) > tolerance) {
            let (x, y) = (index % image.width, index / image.width);
            found = [found[0].min(x), found[1].min(y), found[2].max(x + 1), found[3].max(y + 1)];
        }
    }
    found
}

#[test]
fn a_plain_product_is_the_cutouts_own_png() {
    let garment = garment();
    let product = Product::default();
    assert_eq!(made(&garment, &product).bytes, encode::png_rgba(&garment, DPI).unwrap());
}

#[test]
fn white_is_exactly_white_before_and_after_jpeg() {
    let mut garment = garment();
    // Haze, as networks leave it.
    for (index, pixel) in garment.rgba.chunks_exact_mut(4).enumerate() {
        if pixel[3] == 0 {
            pixel.copy_from_slice(&[30, 200, 10, (index % 3) as u8]);
        }
    }
    let exact = seen(&garment, &on_white(Form::Png, Frame::default()));
    let [left, top, right, bottom] = drawn(&exact, [255; 3], 0);
    assert!(left >= 150 && top >= 100 && right <= 450 && bottom <= 700, "{:?}", (left, top, right, bottom));
    for quality in [75, 90, 100] {
        let jpeg = seen(&garment, &on_white(Form::Jpeg { quality }, Frame::default()));
        // A block of 16 around the garment may ring; all others are flat.
        let [left, top, right, bottom] = drawn(&jpeg, [255; 3], 0);
        assert!(left >= 134 && top >= 84 && right <= 466 && bottom <= 716, "{quality}");
    }
}

#[test]
fn soft_edges_are_mixed_with_the_background_and_nothing_else() {
    let garment = garment();
    let blue = Product { background: Some(Background::Colour([10, 20, 240])), ..Product::default() };
    let image = seen(&garment, &blue);
    for (pixel, shown) in garment.rgba.chunks_exact(4).zip(image.rgb.chunks_exact(3)) {
        let share = f64::from(if pixel[3] <= 3 { 0 } else { pixel[3] }) / 255.0;
        for ((own, ground), shown) in pixel.iter().zip([10.0, 20.0, 240.0]).zip(shown) {
            let wanted = f64::from(*own) * share + ground * (1.0 - share);
            assert!((f64::from(*shown) - wanted).abs() <= 0.51, "{pixel:?}: {shown} for {wanted}");
        }
    }
}

#[test]
fn scaling_draws_no_dark_fringe() {
    // White on white: whatever darkens an edge is seen at once, and transparent black lies right beside it.
    let white = cutout((600, 800), [150, 100, 450, 700], [255; 3]);
    for (side, max_upscale) in [(150, 1.0), (333, 1.0), (1600, 4.0)] {
        let canvas = Canvas::Size { width: side, height: side };
        let frame = Frame { crop: true, canvas, fill: Some(0.9), max_upscale, ..Frame::default() };
        let image = seen(&white, &on_white(Form::Png, frame));
        assert!(image.rgb.iter().all(|value| *value >= 254), "{side}: {:?}", image.rgb.iter().min());
        let clear = seen(&white, &Product { frame, ..Product::default() });
        let (colours, alphas) = (clear.straight_rgb.unwrap(), clear.alpha.unwrap());
        assert!(
            colours.chunks_exact(3).zip(alphas).all(|(colour, alpha)| alpha < 16 || colour.iter().all(|v| *v > 235))
        );
    }
}

#[test]
fn cropping_finds_the_subject_to_the_pixel_and_overlooks_haze() {
    let mut garment = garment();
    garment.rgba.chunks_exact_mut(4).for_each(|pixel| pixel[3] = pixel[3].max(2));
    let crop = Frame { crop: true, ..Frame::default() };
    let tight = made(&garment, &Product { frame: crop, ..Product::default() });
    assert!((298..=300).contains(&tight.width) && (598..=600).contains(&tight.height), "{tight:?}");
    let wide = made(&garment, &Product { frame: Frame { margin: 0.1, ..crop }, ..Product::default() });
    let margin = (f64::from(tight.height) * 0.1).round() as u32;
    assert_eq!((wide.width, wide.height), (tight.width + 2 * margin, tight.height + 2 * margin));
}

#[test]
fn a_subject_fills_the_share_that_was_asked_for_and_lies_where_it_was_put() {
    let frame = Frame {
        crop: true,
        canvas: Canvas::Size { width: 500, height: 400 },
        fill: Some(0.8),
        align: (Align::Start, Align::End),
        margin: 0.05,
        ..Frame::default()
    };
    let image = seen(&garment(), &on_white(Form::Png, frame));
    let [left, top, right, bottom] = drawn(&image, [255; 3], 20);
    // 320 of 400 pixels tall, half as wide; a margin of 16 to the left and below.
    for (found, wanted) in [(bottom - top, 320), (right - left, 160), (left, 16), (bottom, 384)] {
        assert!(found.abs_diff(wanted) <= 2, "{:?}", [left, top, right, bottom]);
    }
}

#[test]
fn what_amazon_asks_for_is_kept_and_said_where_it_is_not() {
    let amazon = preset("amazon-main").unwrap();
    let good = cutout((1500, 2000), [300, 150, 1200, 1850], COLOUR);
    let product = made(&good, &amazon);
    assert_eq!(product.violations, [""; 0]);
    assert_eq!((product.width, product.height, amazon.extension()), (1889, 1889, "jpg"));
    let [_, top, _, bottom] = drawn(&decoded(product.bytes).unwrap(), [255; 3], 40);
    assert!(f64::from(bottom - top) / 1889.0 >= 0.85, "{top} to {bottom}");

    // Too small to be enlarged that far: it stays smaller than its canvas wants it.
    let small = made(&cutout((600, 800), [200, 200, 400, 600], COLOUR), &amazon);
    assert_eq!((small.width, small.violations.as_slice()), (1600, ["fill 0.375 < 0.85".to_owned()].as_slice()));

    // Cut off by the photo itself.
    let cut = made(&cutout((1500, 2000), [300, 400, 1200, 2700], COLOUR), &amazon);
    assert_eq!(cut.violations.len(), 1);
    assert!(cut.violations[0].starts_with("whole: the subject is cut by the photo's border: bottom ("), "{cut:?}");
}

#[test]
fn each_rule_names_what_it_found_and_what_it_wants() {
    let garment = cutout((600, 800), [0, 100, 450, 700], COLOUR);
    for (rule, says) in [
        (Rule::Border, "border: "),
        (Rule::Square, "square 600 × 800"),
        (Rule::Fill { least: 0.9, most: 1.0 }, "fill 0.750 "),
        (Rule::Fill { least: 0.1, most: 0.5 }, "fill 0.750 "),
        (Rule::LongSide { least: 1000, most: 2000 }, "long-side 800 < 1000"),
        (Rule::ShortSide { least: 1, most: 500 }, "short-side 600 > 500"),
        (Rule::Pixels { least: 1_000_000, most: u64::MAX }, "pixels 480000 < 1000000"),
        (Rule::Bytes { least: 0, most: 10 }, "bytes "),
        (Rule::Whole, "whole: the subject is cut by the photo's border: left ("),
    ] {
        let product = Product { rules: vec![rule], ..on_white(Form::Png, Frame::default()) };
        let violations = made(&garment, &product).violations;
        assert!(violations.len() == 1 && violations[0].starts_with(says), "{rule}: {violations:?}");
        assert_eq!(Rule::parse(&rule.to_string()), Some(rule));
    }
    let kept = ["border", "fill 0.7-0.8", "long-side 800-800", "bytes 1-", "pixels -480000", "whole"];
    let rules = kept.map(|text| Rule::parse(text).unwrap()).to_vec();
    let inside = cutout((600, 800), [20, 100, 460, 700], COLOUR);
    assert_eq!(made(&inside, &Product { rules, ..on_white(Form::Png, Frame::default()) }).violations, [""; 0]);
    assert_eq!(["fill", "fill 1", "weight 1-2", "bytes a-b", "border 1-2", ""].map(Rule::parse), [None; 6]);
}

#[test]
fn an_empty_cutout_is_shown_whole_and_said_to_be_empty() {
    let empty = Cutout { width: 300, height: 400, rgba: vec![0; 480_000] };
    let product = made(&empty, &preset("amazon-main").unwrap());
    assert_eq!(product.violations.len(), 2, "{:?}", product.violations);
    assert!(product.violations.iter().all(|text| text.contains("nothing was found")));
    let shadow = Some(Shadow { opacity: 0.5, blur: 0.1, offset: 0.0 });
    let product = Product { shadow, ..on_white(Form::Png, Frame { crop: true, ..Frame::default() }) };
    assert_eq!(seen(&empty, &product).rgb, vec![255; 360_000]);
}

#[test]
fn any_size_becomes_every_preset() {
    for (width, height) in [(1, 1), (1, 3000), (3000, 2), (7, 5)] {
        let full = Cutout { width, height, rgba: [200, 10, 10, 255].repeat((width * height) as usize) };
        for name in PRESETS {
            let product = preset(name).unwrap();
            product.check().unwrap();
            let image = seen(&full, &product);
            let ground = product.background.is_some();
            assert!(!ground || image.rgb.chunks(3).any(|pixel| pixel != [255; 3]), "{name} of {width} × {height}");
        }
    }
    assert_eq!(preset("nobody"), None);
}

#[test]
fn every_form_comes_back_as_it_was() {
    let garment = garment();
    for form in [Form::Png, Form::Webp { quality: None }, Form::Tiff] {
        let clear = seen(&garment, &Product { form, ..Product::default() });
        let rgba: Vec<u8> = clear
            .straight_rgb
            .unwrap()
            .chunks_exact(3)
            .zip(clear.alpha.unwrap())
            .flat_map(|(rgb, alpha)| [rgb[0], rgb[1], rgb[2], alpha])
            .collect();
        assert!(rgba == garment.rgba, "{form:?}");
        let dpi = clear.facts.dpi.map(|(x, y)| (x.round(), y.round()));
        assert_eq!(dpi, if matches!(form, Form::Webp { .. }) { None } else { DPI });
    }
    let webp = seen(&garment, &Product { form: Form::Webp { quality: Some(80) }, ..Product::default() });
    let alphas: Vec<u8> = garment.rgba.chunks_exact(4).map(|pixel| pixel[3]).collect();
    assert_eq!(webp.alpha.unwrap(), alphas);
    let jpeg = seen(&garment, &on_white(Form::Jpeg { quality: 92 }, Frame::default()));
    assert_eq!((jpeg.facts.dpi, jpeg.facts.profile.as_deref()), (DPI, None));
    for (found, wanted) in at(&jpeg, 300, 400).into_iter().zip(COLOUR) {
        assert!(found.abs_diff(wanted) <= 1);
    }
}

#[test]
fn the_same_product_gives_the_same_bytes() {
    let garment = garment();
    for word in ["png", "webp", "webp-lossy", "jpeg", "tiff"] {
        let form = Form::from_word(word).unwrap();
        let shadow = Some(Shadow { opacity: 0.3, blur: 0.04, offset: 0.01 });
        let frame = Frame { crop: true, canvas: Canvas::Size { width: 321, height: 432 }, ..Frame::default() };
        let product = Product { shadow, ..on_white(form, frame) };
        assert_eq!(made(&garment, &product), made(&garment, &product));
    }
}

#[test]
fn a_mask_lies_in_the_frame_of_its_cutout() {
    let canvas = Canvas::Size { width: 200, height: 300 };
    let frame = Frame { crop: true, canvas, fill: Some(0.5), ..Frame::default() };
    let clear = seen(&garment(), &Product { frame, ..Product::default() });
    for form in [Form::Png, Form::Tiff, Form::Webp { quality: None }] {
        let mask = seen(&garment(), &Product { form, content: Content::Mask, frame, ..Product::default() });
        assert!(mask.rgb.chunks(3).zip(clear.alpha.as_ref().unwrap()).all(|(grey, alpha)| grey == [*alpha; 3]));
    }
    let jpeg = Product { form: Form::Jpeg { quality: 90 }, content: Content::Mask, frame, ..Product::default() };
    assert_eq!(seen(&garment(), &jpeg).facts.colour.word(), "grey");
}

#[test]
fn a_shadow_lies_below_the_subject_and_fades_to_the_background() {
    let shadow = Some(Shadow { opacity: 0.5, blur: 0.05, offset: 0.0 });
    let frame = Frame { crop: true, margin: 0.3, ..Frame::default() };
    let product = Product { shadow, ..on_white(Form::Png, frame) };
    let image = seen(&garment(), &product);
    let (middle, foot) = (image.width / 2, image.height - (f64::from(image.height) * 0.3 / 1.6) as u32);
    let below = at(&image, middle, foot + 4);
    assert!((128..245).contains(&below[0]) && below == [below[0]; 3], "{below:?}");
    let mut last = below[0];
    for y in foot + 4..image.height {
        let value = at(&image, middle, y)[0];
        assert!(value >= last, "it fades evenly");
        last = value;
    }
    assert_eq!([at(&image, middle, image.height - 1), at(&image, middle, 0), at(&image, 0, foot)], [[255; 3]; 3]);
    // Laid on white later it is the same.
    let clear = seen(&garment(), &Product { background: None, ..product });
    let apart = clear.rgb.iter().zip(&image.rgb).map(|(one, other)| one.abs_diff(*other)).max();
    assert!(apart <= Some(3), "{apart:?}");
    assert!(clear.alpha.unwrap()[((foot + 4) * clear.width + middle) as usize] > 10);
}

#[test]
fn a_backdrop_covers_the_canvas_by_its_middle() {
    // Three upright stripes; of a square canvas only the middle one and the halves beside it are seen.
    let stripes = [[200, 0, 0], [0, 200, 0], [0, 0, 200]];
    let rgb = (0..300 * 100).flat_map(|index| stripes[index % 300 / 100]).collect();
    let backdrop = Arc::new(Backdrop { width: 300, height: 100, rgb });
    let frame =
        Frame { crop: true, canvas: Canvas::Size { width: 800, height: 400 }, fill: Some(0.2), ..Frame::default() };
    let product = Product { background: Some(Background::Picture(backdrop)), frame, ..Product::default() };
    let image = seen(&garment(), &product);
    assert_eq!([at(&image, 5, 200), at(&image, 400, 20), at(&image, 790, 200)], stripes);
    assert_eq!(at(&image, 400, 200), COLOUR);
}

#[test]
fn settings_that_contradict_each_other_are_refused_with_advice() {
    let clear = Product::default();
    let framed = |frame| Product { frame, ..Product::default() };
    let picture =
        |width, height, bytes| Some(Background::Picture(Arc::new(Backdrop { width, height, rgb: vec![0; bytes] })));
    let shade = |opacity, blur, offset| Some(Shadow { opacity, blur, offset });
    for (product, says) in [
        (Product { form: Form::Jpeg { quality: 90 }, ..clear.clone() }, "give it a background"),
        (on_white(Form::Jpeg { quality: 0 }, Frame::default()), "from 1 to 100"),
        (Product { content: Content::Mask, ..on_white(Form::Png, Frame::default()) }, "a mask has neither"),
        (Product { shadow: shade(1.5, 0.1, 0.0), ..clear.clone() }, "opacity 1.5"),
        (Product { shadow: shade(0.5, f32::NAN, 0.0), ..clear.clone() }, "blur NaN"),
        (framed(Frame { margin: -1.0, ..Frame::default() }), "margin is -1"),
        (framed(Frame { margin: f32::NAN, ..Frame::default() }), "margin is NaN"),
        (framed(Frame { fill: Some(0.5), ..Frame::default() }), "fill needs `crop`"),
        (framed(Frame { max_upscale: 0.0, ..Frame::default() }), "max_upscale is 0"),
        (framed(Frame { canvas: Canvas::Size { width: 0, height: 9 }, ..Frame::default() }), "1 to 30000 pixels"),
        (framed(Frame { canvas: Canvas::Between { least: 9, most: 8 }, ..Frame::default() }), "turn them round"),
        (Product { background: picture(2, 2, 11), ..clear.clone() }, "no pixels, or not as many"),
        (Product { background: picture(2, 2, 12), rules: vec![Rule::Border], ..clear.clone() }, "take the rule out"),
        (Product { rules: vec![Rule::Bytes { least: 2, most: 1 }], ..clear.clone() }, "can never hold"),
    ] {
        let refused = product.check().unwrap_err();
        assert!(refused.contains(says), "{refused}");
        assert!(make(&garment(), None, &product).is_err());
    }
    assert!(make(&Cutout { width: 2, height: 2, rgba: vec![0; 15] }, None, &clear).is_err());
    let broad = framed(Frame { canvas: Canvas::Size { width: 20_000, height: 100 }, ..Frame::default() });
    assert!(make(&garment(), None, &Product { form: Form::Webp { quality: None }, ..broad }).is_err(), "beyond WebP");
}

#[test]
fn every_setting_shows_in_the_canonical_text() {
    let frame = Frame::default();
    let with = |frame| Product { frame, ..Product::default() };
    let backdrop = |value| Some(Background::Picture(Arc::new(Backdrop { width: 1, height: 1, rgb: vec![value; 3] })));
    let mut all = vec![
        Product::default(),
        Product { form: Form::Tiff, ..Product::default() },
        Product { form: Form::Webp { quality: None }, ..Product::default() },
        Product { form: Form::Webp { quality: Some(80) }, ..Product::default() },
        Product { form: Form::Webp { quality: Some(81) }, ..Product::default() },
        Product { content: Content::Mask, ..Product::default() },
        on_white(Form::Png, frame),
        Product { background: backdrop(1), ..Product::default() },
        Product { background: backdrop(2), ..Product::default() },
        with(Frame { crop: true, ..frame }),
        with(Frame { margin: 0.1, ..frame }),
        with(Frame { canvas: Canvas::Square, ..frame }),
        with(Frame { canvas: Canvas::Size { width: 1, height: 2 }, ..frame }),
        with(Frame { fill: Some(0.5), ..frame }),
        with(Frame { align: (Align::Start, Align::Middle), ..frame }),
        with(Frame { align: (Align::Middle, Align::Start), ..frame }),
        with(Frame { max_upscale: 2.0, ..frame }),
        Product { shadow: Some(Shadow { opacity: 0.1, blur: 0.2, offset: 0.3 }), ..Product::default() },
        Product { shadow: Some(Shadow { opacity: 0.1, blur: 0.2, offset: 0.4 }), ..Product::default() },
        Product { rules: vec![Rule::Border], ..Product::default() },
        Product { rules: vec![Rule::Border, Rule::Square], ..Product::default() },
    ];
    all.extend(PRESETS.map(|name| preset(name).unwrap()));
    let texts: std::collections::BTreeSet<String> = all.iter().map(Product::canonical).collect();
    assert_eq!(texts.len(), all.len());
    assert_eq!(all[0].canonical(), Product::default().canonical());
}

#[test]
fn the_coarsest_jpeg_is_still_baseline() {
    let rgb: Vec<u8> = (0..64 * 64 * 3).map(|at| (at * 37 % 251) as u8).collect();
    for quality in [1, 5, 20] {
        let file = encode::jpeg_rgb(64, 64, &rgb, quality, None).unwrap();
        assert!(file.windows(2).any(|pair| pair == b"\xff\xc0"), "{quality}");
        assert!(decoded(file).is_ok());
    }
}
