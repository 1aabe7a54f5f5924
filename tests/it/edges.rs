//! From a coarse map to a matte at the photo's size: what is refined, what must not be touched, and what the settings do.

use selvedge::image::{
    Colour, DecodedImage, Edges, Facts, Format, Matte, Probabilities, Shape, compose, matte, shape, upsample,
};

const NONE: Edges = Edges::NONE;

fn photo(width: u32, height: u32, rgb: Vec<u8>) -> DecodedImage {
    let facts = Facts {
        format: Format::Png,
        stored_width: width,
        stored_height: height,
        orientation: 1,
        profile: None,
        dpi: None,
        frames_more_than_one: false,
        bits: 8,
        colour: Colour::Rgb,
    };
    DecodedImage { width, height, rgb, alpha: None, straight_rgb: None, facts, notes: Vec::new() }
}

/// Noise that is the same every time, -0.5 to 0.5.
fn noise(x: u32, y: u32) -> f32 {
    let mixed = (x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77)).wrapping_mul(0xC2B2_AE35);
    ((mixed ^ mixed >> 15) & 0xffff) as f32 / 65536.0 - 0.5
}

struct Scene {
    photo: DecodedImage,
    /// The garment's own colour everywhere, three values a pixel.
    garment: Vec<f32>,
    truth: Vec<f32>,
    map: Probabilities,
}

const WIDTH: u32 = 480;
const HEIGHT: u32 = 640;
/// Pixels of the photo in a pixel of the map, each way.
const COARSE: u32 = 8;

/// A checked garment with an arm's gap and a strap, before a lit backdrop; the map is the truth, reduced and blurred.
fn scene() -> Scene {
    let (mut rgb, mut garment, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (fx, fy) = (x as f32, y as f32);
            let body = 150.0 - (fx - 240.0).hypot((fy - 330.0) * 0.75);
            let gap = (fx - 300.0).hypot((fy - 330.0) * 0.5) - 26.0;
            let strap = (9.0 - (fx - 240.0 - (fy - 60.0) * 0.3).abs()).min(fy - 40.0).min(330.0 - fy);
            let share = (body.min(gap).max(strap) / 1.5 + 0.5).clamp(0.0, 1.0);
            let check = if (x / 14 + y / 14) % 2 == 0 { 34.0 } else { 0.0 };
            let own = [150.0 + check, 40.0 + check, 70.0].map(|value| value + 8.0 * noise(x, y));
            let light = 200.0 - fy / 16.0 + 6.0 * noise(y, x + 999);
            for (own, back) in own.into_iter().zip([light, light + 6.0, light + 14.0]) {
                rgb.push((own * share + back * (1.0 - share)).round() as u8);
                garment.push(own);
            }
            truth.push(share);
        }
    }
    let map = reduced(&truth);
    Scene { photo: photo(WIDTH, HEIGHT, rgb), garment, truth, map }
}

fn reduced(truth: &[f32]) -> Probabilities {
    let (width, height) = (WIDTH / COARSE, HEIGHT / COARSE);
    let mean = |column: u32, row: u32| {
        let cells = (0..COARSE * COARSE).map(|at| (column * COARSE + at % COARSE, row * COARSE + at / COARSE));
        cells.map(|(x, y)| truth[(y * WIDTH + x) as usize]).sum::<f32>() / (COARSE * COARSE) as f32
    };
    let near = |at: u32, offset: u32, size: u32| (at + offset).saturating_sub(1).min(size - 1);
    let blurred = |at: u32| {
        let around = (0..9).map(|offset| (near(at % width, offset % 3, width), near(at / width, offset / 3, height)));
        around.map(|(column, row)| mean(column, row)).sum::<f32>() / 9.0
    };
    Probabilities { width, height, plane: (0..width * height).map(blurred).collect() }
}

/// Sum of differences from the truth, in pixels.
fn difference(matte: &Matte, truth: &[f32]) -> f32 {
    matte.alpha.iter().zip(truth).map(|(found, wanted)| (f32::from(*found) / 255.0 - wanted).abs()).sum()
}

/// A map of the photo's own size with full pixels where it holds.
fn full_map(width: u32, height: u32, holds: impl Fn(u32, u32) -> bool) -> Probabilities {
    let at = |at: u32| if holds(at % width, at / width) { 1.0 } else { 0.0 };
    Probabilities { width, height, plane: (0..width * height).map(at).collect() }
}

fn grey(width: u32, height: u32) -> DecodedImage {
    photo(width, height, vec![128; (width * height * 3) as usize])
}

/// How many full pixels the map's matte has with these edges, the photo saying nothing.
fn pixels(map: &Probabilities, edges: Edges) -> f32 {
    let found = matte(&grey(map.width, map.height), map, &edges).unwrap();
    found.alpha.iter().map(|level| f32::from(*level) / 255.0).sum()
}

#[test]
fn a_refined_matte_is_far_nearer_to_the_truth_than_an_enlarged_one() {
    let scene = scene();
    let enlarged = difference(&matte(&scene.photo, &scene.map, &NONE).unwrap(), &scene.truth);
    let found = matte(&scene.photo, &scene.map, &Edges::default()).unwrap();
    let refined = difference(&found, &scene.truth);
    assert!(enlarged > 9000.0, "the scene is hard enough: {enlarged}");
    assert!(refined < enlarged / 5.0, "{refined} of {enlarged}");
    assert_eq!(found, matte(&scene.photo, &scene.map, &Edges::default()).unwrap());
    // The gap between arm and body is one hole, and open in its middle.
    assert_eq!(shape(&found), Shape { components: 1, holes: 1, sharpness: shape(&found).sharpness });
    assert_eq!(found.alpha[(330 * WIDTH + 300) as usize], 0);
}

#[test]
fn the_refined_band_shows_the_garments_colour_on_white() {
    let scene = scene();
    let found = matte(&scene.photo, &scene.map, &Edges::default()).unwrap();
    let error = |colour| {
        let cutout = compose(&scene.photo, &found, colour).unwrap();
        let (mut error, mut count) = (0.0, 0.0_f32);
        for (at, pixel) in cutout.rgba.as_chunks::<4>().0.iter().enumerate() {
            let [.., alpha] = *pixel;
            if !matches!(alpha, 0 | 255) && scene.truth[at] > 0.0 {
                for (shown, own) in pixel[..3].iter().zip(&scene.garment[at * 3..]) {
                    error += f32::from(alpha) / 255.0 * (f32::from(*shown) - own).abs();
                    count += 1.0;
                }
            }
        }
        error / count
    };
    let (treated, untreated) = (error(true), error(false));
    assert!(untreated > 8.0 && treated < 3.0 * untreated / 8.0, "{treated} levels, {untreated} untreated");
}

#[test]
fn without_colour_the_photos_own_pixels_stay() {
    let scene = scene();
    let found = matte(&scene.photo, &scene.map, &NONE).unwrap();
    let cutout = compose(&scene.photo, &found, false).unwrap();
    for ((pixel, shown), alpha) in
        cutout.rgba.as_chunks::<4>().0.iter().zip(scene.photo.rgb.as_chunks::<3>().0).zip(&found.alpha)
    {
        let [red, green, blue] = *shown;
        assert_eq!(*pixel, if *alpha == 0 { [0; 4] } else { [red, green, blue, *alpha] });
    }
}

#[test]
fn a_print_in_the_colour_of_the_backdrop_punches_no_holes() {
    let mut scene = scene();
    let inside = |x: u32, y: u32| (x as f32 - 180.0).hypot(y as f32 - 330.0) < 60.0;
    for (at, pixel) in scene.photo.rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = (at as u32 % WIDTH, at as u32 / WIDTH);
        if inside(x, y) && (x / 9 + y / 9) % 3 == 0 {
            *pixel = [180, 186, 194];
        }
    }
    let found = matte(&scene.photo, &scene.map, &Edges { fill_holes: 0.0, ..Edges::default() }).unwrap();
    let least =
        (0..WIDTH * HEIGHT).filter(|at| inside(at % WIDTH, at / WIDTH)).map(|at| found.alpha[at as usize]).min();
    assert_eq!(least, Some(255));
}

#[test]
fn where_the_photo_shows_no_edge_the_map_keeps_its_own() {
    let map = full_map(60, 40, |x, _| x < 30);
    let found = matte(&photo(600, 400, vec![250; 600 * 400 * 3]), &map, &Edges::default()).unwrap();
    for row in found.alpha.chunks(600) {
        assert!(row[..270].iter().all(|level| *level == 255) && row[330..].iter().all(|level| *level == 0));
        let crossing = row.iter().position(|level| *level < 128).unwrap();
        assert!((290..=310).contains(&crossing), "{crossing}");
        assert!(row.windows(2).all(|pair| pair[0].saturating_add(6) >= pair[1]), "from left to right it only falls");
    }
}

#[test]
fn a_map_that_found_nothing_is_enlarged_and_not_stretched() {
    let scene = scene();
    let faint = |value: &f32| if value.is_nan() { 0.0 } else { value * 0.49 };
    let mut map = Probabilities { plane: scene.map.plane.iter().map(faint).collect(), ..scene.map };
    map.plane[7] = f32::NAN;
    let edges = Edges { keep_largest: true, shrink: 3.0, feather: 2.0, ..Edges::default() };
    let found = matte(&scene.photo, &map, &edges).unwrap();
    assert_eq!(found, upsample(&map, WIDTH, HEIGHT).unwrap());
    assert!(found.alpha.iter().all(|level| *level <= 125));
}

#[test]
fn with_everything_off_a_matte_is_the_enlarged_map() {
    let scene = scene();
    assert_eq!(matte(&scene.photo, &scene.map, &NONE).unwrap(), upsample(&scene.map, WIDTH, HEIGHT).unwrap());
}

#[test]
fn any_size_and_any_map_give_a_matte() {
    let all = Edges { keep_largest: true, shrink: -1.5, feather: 0.7, ..Edges::default() };
    for (width, height) in [(1, 1), (1, 7), (9, 1), (2, 2), (3, 5), (17, 16), (5, 1300), (1300, 2), (333, 257)] {
        let rgb =
            (0..height).flat_map(|y| (0..width).flat_map(move |x| [x, y, x ^ y])).map(|value| value as u8).collect();
        let shown = photo(width, height, rgb);
        for (columns, rows) in [(1, 1), (4, 4), (7, 3), (width, height)] {
            let value = |at: u32| match at % 5 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => -3.0,
                3 => 0.6,
                _ => 1.0,
            };
            let map = Probabilities { width: columns, height: rows, plane: (0..columns * rows).map(value).collect() };
            for edges in [Edges::default(), all, Edges { shrink: 1.0, ..all }] {
                let found = matte(&shown, &map, &edges).unwrap();
                assert_eq!(found.alpha.len(), (width * height) as usize);
                assert_eq!(compose(&shown, &found, true).unwrap().rgba.len(), found.alpha.len() * 4);
                assert!((0.0..=1.0).contains(&shape(&found).sharpness));
            }
        }
    }
    let odd = Edges { fill_holes: f32::NAN, drop_specks: f32::NAN, shrink: f32::NAN, feather: f32::NAN, ..NONE };
    let map = full_map(20, 20, |x, _| x > 9);
    assert_eq!(pixels(&map, odd), 200.0);
}

#[test]
fn planes_that_do_not_fit_their_sizes_are_refused() {
    let map = full_map(4, 4, |_, _| true);
    assert!(matte(&grey(8, 8), &Probabilities { plane: vec![1.0; 15], ..map.clone() }, &Edges::default()).is_err());
    assert!(matte(&photo(8, 8, vec![0; 100]), &map, &Edges::default()).is_err());
    for edges in [NONE, Edges::default()] {
        assert!(matte(&photo(0, 8, Vec::new()), &map, &edges).is_err());
    }
}

#[test]
fn specks_go_and_a_second_shoe_stays_unless_only_the_largest_may() {
    // 2,500 pixels, 400 pixels, and 9.
    let within =
        |x: u32, y: u32, left: u32, top: u32, side: u32| x.wrapping_sub(left) < side && y.wrapping_sub(top) < side;
    let map = full_map(100, 100, |x, y| within(x, y, 10, 10, 50) || within(x, y, 70, 70, 20) || within(x, y, 80, 5, 3));
    assert_eq!(pixels(&map, NONE), 2909.0);
    assert_eq!(pixels(&map, Edges { drop_specks: 0.005, ..NONE }), 2900.0);
    assert_eq!(pixels(&map, Edges { drop_specks: 0.2, ..NONE }), 2500.0);
    assert_eq!(pixels(&map, Edges { keep_largest: true, ..NONE }), 2500.0);
}

#[test]
fn haze_that_belongs_to_no_piece_goes_with_the_specks_and_a_soft_edge_stays() {
    let mut map = full_map(60, 60, |x, y| (20..40).contains(&x) && (20..40).contains(&y));
    map.plane[20 * 60 + 40] = 0.04;
    map.plane[5 * 60 + 5] = 0.04;
    let found = matte(&grey(60, 60), &map, &Edges { drop_specks: 0.005, ..NONE }).unwrap();
    assert_eq!([found.alpha[20 * 60 + 40], found.alpha[5 * 60 + 5]], [10, 0]);
}

#[test]
fn pinholes_are_filled_and_the_gap_between_arm_and_body_is_not() {
    let map = full_map(200, 200, |x, y| {
        let (pinhole, gap) =
            (x.wrapping_sub(50) < 4 && y.wrapping_sub(50) < 4, (90..110).contains(&x) && (60..140).contains(&y));
        (20..180).contains(&x) && y >= 20 && !pinhole && !gap && !(x == 60 && y >= 190)
    });
    let all = 160.0 * 180.0 - 10.0;
    assert_eq!(pixels(&map, NONE), all - 16.0 - 1600.0);
    assert_eq!(pixels(&map, Edges { fill_holes: 0.001, ..NONE }), all - 1600.0);
    // What reaches the picture's border is no hole, however small.
    assert_eq!(pixels(&map, Edges { fill_holes: 0.5, ..NONE }), all);
}

#[test]
fn the_edge_moves_by_as_many_pixels_as_asked_and_not_off_the_border() {
    let map = full_map(200, 100, |x, _| x < 100);
    for (shrink, wanted) in [(2.0, 98.0), (2.5, 97.5), (0.25, 99.75), (7.0, 93.0), (-3.0, 103.0), (-0.5, 100.5)] {
        let rows = pixels(&map, Edges { shrink, ..NONE }) / 100.0;
        assert!((rows - wanted).abs() < 0.01, "{rows} for {shrink}");
    }
    assert_eq!(pixels(&map, Edges { shrink: 1e9, ..NONE }), pixels(&map, Edges { shrink: 64.0, ..NONE }));
}

#[test]
fn feathering_softens_by_the_deviation_asked_and_keeps_the_place() {
    let map = full_map(200, 80, |x, _| x < 100);
    let found = matte(&grey(200, 80), &map, &Edges { feather: 4.0, ..NONE }).unwrap();
    let row = &found.alpha[40 * 200..41 * 200];
    assert_eq!([row[80], row[120]], [255, 0]);
    // One deviation from the edge a Gaussian's edge has 15.9 % left.
    let at = |x: usize| (f32::from(row[x - 1]) + f32::from(row[x])) / 2.0 / 255.0;
    assert!((at(104) - 0.159).abs() < 0.01 && (at(96) - 0.841).abs() < 0.01 && (at(100) - 0.5).abs() < 0.01);
}

#[test]
fn the_shape_of_a_matte_counts_pieces_and_holes_and_tells_a_hard_edge_from_a_soft_one() {
    let of = |value: &dyn Fn(u32, u32) -> u8| {
        let alpha = (0..1000 * 800_u32).map(|at| value(at % 1000, at / 1000)).collect();
        shape(&Matte { width: 1000, height: 800, alpha })
    };
    let ring = |x: u32, y: u32, at: f32| (x as f32 - at).hypot(y as f32 - 400.0);
    let rings = of(&|x, y| {
        let far = ring(x, y, 250.0).min(ring(x, y, 700.0));
        // A single pixel of noise in each: neither a piece nor a hole.
        if (40.0..120.0).contains(&far) != (x % 450 == 250 && y % 320 == 0) { 255 } else { 0 }
    });
    assert_eq!(rings, Shape { components: 2, holes: 2, sharpness: 1.0 });
    assert_eq!(of(&|_, _| 0), Shape { components: 0, holes: 0, sharpness: 1.0 });
    assert_eq!(of(&|_, _| 255), Shape { components: 1, holes: 0, sharpness: 1.0 });
    let ramp = |width: f32| {
        of(&|x, y| {
            // Slanted, for it must not matter which way an edge runs.
            let across = (x as f32 - 500.0) * 0.8 + (y as f32 - 400.0) * 0.6;
            ((0.5 - across / width).clamp(0.0, 1.0) * 255.0).round() as u8
        })
        .sharpness
    };
    // As wide as 1 % of the longer side: one half.
    assert!((ramp(10.0) - 0.5).abs() < 0.02, "{}", ramp(10.0));
    assert!(ramp(1.5) > 0.96 && ramp(100.0) < 0.015, "{} {}", ramp(1.5), ramp(100.0));
}
