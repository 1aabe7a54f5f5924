//! Colour, orientation, cutouts: pixels in, pixels out.
#![allow(clippy::unwrap_used)]

use crate::images::{
    PATCHES, assert_near, busy_picture, decoded, decoded_with, fixture, jpeg, jpeg_with_orientation, patches, pixel,
};
use selvedge::image::{
    Cutout, DecodedImage, Filter, Limits, Matte, Note, Probabilities, compose, encode, probe, resize_plane_f32,
    resize_plane_u8, resize_rgb, threshold, upsample,
};

#[test]
fn profiles_are_converted_to_srgb() {
    // LittleCMS 2's values of the same files.
    let p3: [[u8; 3]; 8] = [
        [251, 0, 19],
        [0, 204, 12],
        [12, 41, 229],
        [255, 255, 255],
        [0, 0, 0],
        [128, 128, 128],
        [234, 169, 135],
        [17, 30, 73],
    ];
    let adobe: [[u8; 3]; 8] = [
        [255, 24, 36],
        [0, 201, 37],
        [0, 35, 225],
        [255, 255, 255],
        [0, 0, 0],
        [129, 129, 129],
        [242, 174, 140],
        [5, 24, 69],
    ];
    for (name, wanted, profile, tolerance) in [
        ("display_p3.png", p3, "Display P3", 2),
        ("adobe_rgb.png", adobe, "Adobe RGB (1998)", 2),
        ("display_p3.jpg", p3, "Display P3", 4),
    ] {
        let image = decoded(fixture(name)).unwrap();
        assert_near(&patches(&image), &wanted, tolerance);
        assert_eq!(image.notes, [Note::ProfileConverted], "{name}");
        assert_eq!(image.facts.profile.as_deref(), Some(profile));
    }
}

#[test]
fn a_profile_that_is_srgb_changes_nothing() {
    let image = decoded(fixture("srgb_by_hand.png")).unwrap();
    assert_eq!(patches(&image), PATCHES);
    assert_eq!((image.notes.as_slice(), image.facts.profile.as_deref()), ([].as_slice(), Some("sRGB by hand")));
}

#[test]
fn grey_is_converted_by_its_own_profile() {
    let image = decoded(fixture("grey_gamma18.png")).unwrap();
    assert_near(&patches(&image), &[110, 154, 71, 255, 0, 146, 197, 43].map(|value| [value; 3]), 1);
    assert_eq!(image.notes, [Note::Grey, Note::ProfileConverted]);
}

#[test]
fn a_grey_picture_may_carry_an_rgb_profile() {
    let image = decoded(fixture("grey_rgb_profile.jpg")).unwrap();
    // Display P3 has sRGB's own tone curve, so grey stays what it is.
    assert_near(&patches(&image), &[91, 136, 55, 255, 0, 128, 184, 32].map(|value| [value; 3]), 1);
    assert!(!image.notes.contains(&Note::ProfileUnreadable));
}

#[test]
fn an_unreadable_profile_leaves_the_pixels_and_a_note() {
    let image = decoded(fixture("bad_profile.png")).unwrap();
    assert_eq!(patches(&image), PATCHES);
    assert_eq!(
        (image.notes.as_slice(), image.facts.profile.as_deref()),
        ([Note::ProfileUnreadable].as_slice(), Some("unknown"))
    );
}

#[test]
fn catalogue_photos_are_turned_upright() {
    // Four corners of four colours, each EXIF orientation as a camera would have stored them.
    let (red, green, blue, white) = ([200, 30, 30], [30, 200, 30], [30, 30, 200], [250; 3]);
    let stored = |corners: [[u8; 3]; 4], width: u32, height: u32| {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                rgb.extend_from_slice(&corners[(2 * (2 * y / height) + 2 * x / width) as usize]);
            }
        }
        jpeg(width, height, &rgb)
    };
    // Upright: red, green above blue, white; 80 wide, 48 high.
    for (orientation, corners, width, height) in [
        (1, [red, green, blue, white], 80, 48),
        (2, [green, red, white, blue], 80, 48),
        (3, [white, blue, green, red], 80, 48),
        (4, [blue, white, red, green], 80, 48),
        (5, [red, blue, green, white], 48, 80),
        (6, [green, white, red, blue], 48, 80),
        (7, [white, green, blue, red], 48, 80),
        (8, [blue, red, white, green], 48, 80),
    ] {
        let file = jpeg_with_orientation(&stored(corners, width, height), orientation);
        let image = decoded(file.clone()).unwrap();
        assert_eq!((image.width, image.height), (80, 48), "{orientation}");
        let found = [(20, 12), (60, 12), (20, 36), (60, 36)].map(|(x, y)| pixel(&image, x, y));
        assert_near(&found, &[red, green, blue, white], 4);
        assert_eq!(image.notes.contains(&Note::ExifOriented), orientation != 1);
        assert_eq!(image.facts.orientation, orientation);
        let facts = probe(&file).unwrap();
        assert_eq!((facts.stored_width, facts.stored_height, facts.upright_size()), (width, height, (80, 48)));
    }
}

#[test]
fn training_photos_stay_as_their_masks_were_drawn() {
    let file = jpeg_with_orientation(&jpeg(80, 48, &busy_picture(80, 48)), 6);
    let limits = Limits { apply_orientation: false, ..Limits::default() };
    let image = decoded_with(file, &limits).unwrap();
    assert_eq!((image.width, image.height, image.notes.as_slice()), (80, 48, [Note::ExifIgnored].as_slice()));
}

/// A picture without a file behind it.
fn picture(width: u32, height: u32, rgb: Vec<u8>) -> DecodedImage {
    let mut image = decoded(jpeg(width, height, &rgb)).unwrap();
    image.rgb = rgb;
    image
}

/// A garment with a texture on a backdrop with a gradient, mixed by an edge some pixels soft; what was mixed in, and how.
struct Scene {
    shown: DecodedImage,
    garment: Vec<[f64; 3]>,
    matte: Matte,
}

fn scene(width: u32, height: u32) -> Scene {
    let (mut rgb, mut garment, mut alpha) = (Vec::new(), Vec::new(), Vec::new());
    for y in 0..height {
        for x in 0..width {
            let (fx, fy) = (f64::from(x), f64::from(y));
            let from_middle = (fx - f64::from(width) / 2.0).hypot(fy - f64::from(height) / 2.0);
            let share = ((f64::from(height) * 0.35 - from_middle) / 6.0 + 0.5).clamp(0.0, 1.0);
            let share = (share * 255.0).round() / 255.0;
            let wave = 12.0 * (fx / 9.0).sin() * (fy / 13.0).cos();
            let own = [120.0 + wave, 40.0 + wave + fx / 20.0, 60.0 - wave];
            let back = [235.0 - fy / 30.0, 238.0 - fy / 40.0, 240.0 - fx / 50.0];
            for (own, back) in own.iter().zip(back) {
                rgb.push((own * share + back * (1.0 - share)).round() as u8);
            }
            garment.push(own);
            alpha.push((share * 255.0).round() as u8);
        }
    }
    Scene { shown: picture(width, height, rgb), garment, matte: Matte { width, height, alpha } }
}

#[test]
fn soft_edges_carry_the_garments_own_colour() {
    let Scene { shown, garment, matte } = scene(400, 300);
    let cutout = compose(&shown, &matte, true).unwrap();
    let (mut error, mut untreated, mut count) = (0.0, 0.0, 0.0);
    for (index, own) in garment.iter().enumerate() {
        let alpha = matte.alpha[index];
        if matches!(alpha, 0 | 255) {
            continue;
        }
        let share = f64::from(alpha) / 255.0;
        for (channel, own) in own.iter().enumerate() {
            // The difference that a person sees when the cutout is pasted.
            error += share * (f64::from(cutout.rgba[index * 4 + channel]) - own).abs();
            untreated += share * (f64::from(shown.rgb[index * 3 + channel]) - own).abs();
            count += 1.0;
        }
        assert_eq!(cutout.rgba[index * 4 + 3], alpha);
    }
    assert!(count > 3000.0 && untreated / count > 20.0, "the scene is hard enough: {}", untreated / count);
    assert!(error / count < 2.0, "mean error {} levels, {} untreated", error / count, untreated / count);
}

#[test]
fn sure_pixels_are_exactly_the_source_and_nothing_at_all_elsewhere() {
    let Scene { shown, matte, .. } = scene(200, 150);
    let cutout = compose(&shown, &matte, true).unwrap();
    for (index, alpha) in matte.alpha.iter().enumerate() {
        let found = &cutout.rgba[index * 4..index * 4 + 4];
        match alpha {
            0 => assert_eq!(found, [0; 4]),
            255 => assert_eq!((&found[..3], found[3]), (&shown.rgb[index * 3..index * 3 + 3], 255)),
            _ => {}
        }
    }
}

#[test]
fn an_empty_matte_gives_a_transparent_cutout_and_a_full_one_the_picture() {
    let shown = picture(50, 40, busy_picture(50, 40));
    let matte = |value| Matte { width: 50, height: 40, alpha: vec![value; 2000] };
    assert_eq!(compose(&shown, &matte(0), true).unwrap().rgba, vec![0; 8000]);
    let full = compose(&shown, &matte(255), true).unwrap();
    assert!(full.rgba.chunks(4).zip(shown.rgb.chunks(3)).all(|(cut, own)| cut == [own, &[255]].concat()));
    // Nothing sure anywhere: the colours stay as they are.
    let half = compose(&shown, &matte(128), true).unwrap();
    assert!(half.rgba.chunks(4).zip(shown.rgb.chunks(3)).all(|(cut, own)| cut == [own, &[128]].concat()));
}

#[test]
fn the_sources_own_alpha_is_multiplied_in() {
    let image = decoded(fixture("palette_alpha.png")).unwrap();
    let cutout = compose(&image, &Matte { width: 64, height: 32, alpha: vec![200; 64 * 32] }, true).unwrap();
    let at = |x: usize| <[u8; 4]>::try_from(&cutout.rgba[(8 * 64 + x) * 4..][..4]).unwrap();
    assert_eq!(at(8), [0; 4]);
    // 128 × 200 / 255, and the colour that lies under it, not its mix with white.
    assert_eq!(at(24), [40, 200, 60, 100]);
}

#[test]
fn a_matte_of_another_size_is_refused() {
    let shown = picture(50, 40, busy_picture(50, 40));
    assert!(compose(&shown, &Matte { width: 40, height: 50, alpha: vec![0; 2000] }, true).is_err());
    assert!(compose(&shown, &Matte { width: 50, height: 40, alpha: vec![0; 1999] }, true).is_err());
}

fn reread(png: &[u8]) -> (png::OutputInfo, Vec<u8>, png::Info<'static>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let output = reader.next_frame(&mut pixels).unwrap();
    (output, pixels, reader.info().clone())
}

#[test]
fn cutouts_come_back_from_png_as_they_were() {
    let Scene { shown, matte, .. } = scene(120, 90);
    let cutout = compose(&shown, &matte, true).unwrap();
    let file = encode::png_rgba(&cutout, Some((300.0, 300.0))).unwrap();
    let (output, pixels, info) = reread(&file);
    assert_eq!((output.width, output.height, output.color_type), (120, 90, png::ColorType::Rgba));
    assert_eq!(pixels, cutout.rgba);
    assert!(info.srgb.is_some());
    assert_eq!(info.pixel_dims.unwrap().xppu, 11_811);
    assert_eq!(file, encode::png_rgba(&cutout, Some((300.0, 300.0))).unwrap());
}

#[test]
fn class_maps_come_back_from_png_as_they_were() {
    let classes: Vec<u8> = (0..40 * 30).map(|at| [0, 1, 46, 255][at / 7 % 4]).collect();
    let (output, pixels, info) = reread(&encode::png_grey(40, 30, &classes).unwrap());
    assert_eq!((output.color_type, output.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    assert_eq!(pixels, classes);
    assert!(info.srgb.is_none());
}

#[test]
fn encoders_refuse_sizes_that_do_not_fit() {
    assert!(encode::png_rgba(&Cutout { width: 2, height: 2, rgba: vec![0; 15] }, None).is_err());
    assert!(encode::png_rgb(0, 5, &[], None).is_err());
    assert!(encode::jpeg_rgb(70_000, 1, &vec![0; 210_000], 90, None).is_err());
}

#[test]
fn a_jpeg_of_flat_white_is_exactly_white() {
    let image = decoded(encode::jpeg_rgb(64, 64, &[255; 64 * 64 * 3], 90, None).unwrap()).unwrap();
    assert_eq!(image.rgb, [255; 64 * 64 * 3]);
}

#[test]
fn resizing_keeps_flat_colours_and_the_place_of_things() {
    let flat = picture(97, 61, [17, 130, 240].repeat(97 * 61));
    for filter in [Filter::Nearest, Filter::Bilinear, Filter::Lanczos3] {
        assert_eq!(resize_rgb(&flat, 40, 50, filter).unwrap(), [17, 130, 240].repeat(40 * 50));
    }
    let ramp: Vec<f32> = (0..100).map(|x| (x as f32 + 0.5) / 100.0).collect();
    let wide = resize_plane_f32(&ramp, (100, 1), (200, 1), Filter::Bilinear).unwrap();
    assert!(
        wide.iter().enumerate().skip(2).take(196).all(|(x, value)| (value - (x as f32 + 0.5) / 200.0).abs() < 1e-5)
    );
    let classes = [3, 3, 7, 7];
    assert_eq!(resize_plane_u8(&classes, (4, 1), (8, 1), Filter::Nearest).unwrap(), [3, 3, 3, 3, 7, 7, 7, 7]);
    assert!(resize_rgb(&flat, 0, 10, Filter::Bilinear).is_err());
}

#[test]
fn probabilities_grow_to_a_matte_without_ringing() {
    let mut plane = vec![0.0; 64 * 64];
    for y in 16..48 {
        plane[y * 64 + 16..y * 64 + 48].fill(1.0);
    }
    let matte = upsample(&Probabilities { width: 64, height: 64, plane }, 640, 320).unwrap();
    let at = |x: usize, y: usize| matte.alpha[y * 640 + x];
    assert_eq!((matte.width, matte.height, at(0, 0), at(320, 160), at(639, 319)), (640, 320, 0, 255, 0));
    assert_eq!([at(140, 160), at(180, 160)], [0, 255]);
    assert!((100..=155).contains(&at(160, 160)), "the edge stays where it was: {}", at(160, 160));
    let odd = Probabilities { width: 2, height: 1, plane: vec![f32::NAN, 7.0] };
    assert_eq!(upsample(&odd, 2, 1).unwrap().alpha, [0, 255]);
}

#[test]
fn a_blank_picture_gives_an_empty_map() {
    let mut noisy = busy_picture(300, 200);
    // Noise of some levels around grey, and plain white.
    noisy.iter_mut().for_each(|value| *value = 225 + *value % 9);
    for rgb in [vec![255; 300 * 200 * 3], noisy] {
        let map = threshold(&picture(300, 200, rgb)).unwrap();
        assert_eq!((map.width, map.height), (300, 200));
        assert!(map.plane.iter().all(|value| *value == 0.0));
    }
}

#[test]
fn thresholding_finds_a_garment_on_a_plain_backdrop() {
    let Scene { shown, matte, .. } = scene(600, 450);
    let map = threshold(&shown).unwrap();
    let found = upsample(&map, 600, 450).unwrap();
    let (mut both, mut either) = (0, 0);
    for (found, wanted) in found.alpha.iter().zip(&matte.alpha) {
        both += u32::from(*found >= 128 && *wanted >= 128);
        either += u32::from(*found >= 128 || *wanted >= 128);
    }
    assert!(f64::from(both) / f64::from(either) > 0.97, "{both} of {either}");
    assert_eq!(map, threshold(&shown).unwrap());
}

#[test]
fn a_garment_that_leaves_the_picture_at_the_bottom_is_still_foreground() {
    let (width, height) = (200_u32, 300_u32);
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            rgb.extend_from_slice(if y > 80 && (40..160).contains(&x) { &[30, 40, 90] } else { &[240, 238, 236] });
        }
    }
    let map = threshold(&picture(width, height, rgb)).unwrap();
    let at = |x: usize, y: usize| map.plane[y * 200 + x];
    assert_eq!([at(100, 290), at(100, 150), at(10, 290), at(100, 20)], [1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn any_size_goes_all_the_way_through() {
    for (width, height) in [(1, 1), (1, 7), (9, 1), (3, 3), (5, 1300), (1300, 2)] {
        let shown = picture(width, height, busy_picture(width, height));
        let map = threshold(&shown).unwrap();
        let matte = upsample(&map, width, height).unwrap();
        let cutout = compose(&shown, &matte, true).unwrap();
        assert_eq!(reread(&encode::png_rgba(&cutout, None).unwrap()).1, cutout.rgba);
    }
}
