//! The sidecar: ten lines of TOML beside a model that say how to feed it and how to read it. Must not know the model's
//! own bytes, nor run anything.

use super::Error;
use super::presets::{self, PRESETS};
use crate::image::Filter;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeString, DeTable};

/// The order of a picture's axes in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channels, height, width.
    Nchw,
    /// Batch, height, width, channels.
    Nhwc,
}

/// The order of the colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// What a byte 0..=255 is divided by, before mean and deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scale {
    /// By a number: `1/255`; `1` leaves bytes as they are.
    Over(f32),
    /// By the greatest byte in the resized picture: `1/max`. A black picture stays black.
    OverMax,
}

impl TryFrom<String> for Scale {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let divisor = match text.replace(' ', "").as_str() {
            "1/max" => return Ok(Self::OverMax),
            "1" => Some(1.0),
            other => other.strip_prefix("1/").and_then(|number| number.parse::<f32>().ok()),
        };
        match divisor {
            Some(divisor) if divisor.is_finite() && divisor > 0.0 => Ok(Self::Over(divisor)),
            _ => Err(format!("`{text}` is no scale; write \"1/255\", \"1/max\" or \"1\"")),
        }
    }
}

impl From<Scale> for String {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::OverMax => "1/max".to_owned(),
            Scale::Over(1.0) => "1".to_owned(),
            Scale::Over(divisor) => format!("1/{divisor}"),
        }
    }
}

/// How a picture of any shape becomes one of the model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Each side for itself; the aspect changes.
    Squash,
    /// The aspect stays; the rest is filled with `pad` and cut off the result.
    Letterbox,
}

/// Which output holds the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Output {
    /// By its place, counted from 0.
    Index(usize),
    /// By its name in the model.
    Name(String),
}

/// What turns the model's numbers into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// They are probabilities.
    None,
    /// Each for itself: 1 / (1 + e^-x).
    Sigmoid,
    /// Over all channels of a pixel.
    Softmax,
}

/// Whether a map is stretched to fill 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stretch {
    /// Never: a picture in which nothing was found gives an empty map.
    None,
    /// Least to 0, greatest to 1; a map that is sure of nothing stays as it is.
    Minmax,
}

/// The channels that are foreground.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Foreground {
    /// These, counted from 0.
    Channels(Vec<usize>),
    /// Those of these names in `classes`.
    Names(Vec<String>),
    /// `"not 0"`: all but the first, as class 0 is background by custom.
    Word(ForegroundWord),
}

/// The words that [`Foreground`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForegroundWord {
    /// All channels but the first.
    #[serde(rename = "not 0")]
    NotZero,
}

/// How a model is fed and read. Every key has a default but `size`, which the model itself may give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sidecar {
    /// The name of the input; the model's first if absent.
    pub input: Option<String>,
    /// Width and height in pixels; the model's own if absent.
    pub size: Option<[u32; 2]>,
    /// The axes of the input, and of an output of four axes.
    pub layout: Layout,
    /// The axes of an output of four axes, where they differ from `layout`.
    pub output_layout: Option<Layout>,
    /// The order of the colours.
    pub colour: ColourOrder,
    /// What bytes are divided by.
    pub scale: Scale,
    /// Subtracted after scaling: red, green, blue, whatever `colour` says.
    pub mean: [f32; 3],
    /// Divided by after that: red, green, blue.
    pub std: [f32; 3],
    /// How the picture is brought to `size`.
    pub resize: Resize,
    /// With what: `lanczos3` or `bilinear`.
    #[serde(with = "filter_word")]
    pub filter: Filter,
    /// What a letterbox is filled with, 0..=255.
    pub pad: u8,
    /// The output that holds the map.
    pub output: Output,
    /// What makes probabilities of it.
    pub activation: Activation,
    /// The channels that are foreground; with `softmax` or `sum` they are added up, else the greatest counts. A map of one
    /// channel needs none.
    pub foreground: Option<Foreground>,
    /// The names of the channels, so that some of them can be asked for by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Whether the output's channels exclude each other, so that the probabilities of the foreground are added up.
    #[serde(skip_serializing_if = "is_false")]
    pub sum: bool,
    /// Whether the map is stretched.
    pub stretch: Stretch,
    /// The licence of the weights. One that forbids commercial use must be accepted.
    pub licence: Option<String>,
    /// Pictures in one run, where the model takes several.
    pub batch: usize,
}

/// What was said before there was such a key has the fingerprint that it had.
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Default for Sidecar {
    /// What a sidecar without a line says: RGB over 255, channels first, the first output is a probability.
    fn default() -> Self {
        Self {
            input: None,
            size: None,
            layout: Layout::Nchw,
            output_layout: None,
            colour: ColourOrder::Rgb,
            scale: Scale::Over(255.0),
            mean: [0.0; 3],
            std: [1.0; 3],
            resize: Resize::Squash,
            filter: Filter::Lanczos3,
            pad: 0,
            output: Output::Index(0),
            activation: Activation::None,
            foreground: None,
            classes: None,
            sum: false,
            stretch: Stretch::None,
            licence: None,
            batch: 1,
        }
    }
}

/// Every key of a sidecar. `preset` begins with the values of a well-known model instead of the defaults.
const KEYS: [&str; 20] = [
    "preset",
    "input",
    "size",
    "layout",
    "output_layout",
    "colour",
    "scale",
    "mean",
    "std",
    "resize",
    "filter",
    "pad",
    "output",
    "activation",
    "foreground",
    "classes",
    "sum",
    "stretch",
    "licence",
    "batch",
];

impl Sidecar {
    /// Reads a sidecar's text; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let wrong = |detail: String| Error::Sidecar { sidecar: name.to_owned(), detail };
        let located = |mut error: toml::de::Error| {
            // With the text at hand the error shows the line.
            error.set_input(Some(text));
            wrong(error.to_string().trim_end().to_owned())
        };
        let mut written = DeTable::parse(text).map_err(located)?.into_inner();
        if let Some(key) = written.keys().find(|key| !KEYS.contains(&key.get_ref().as_ref())) {
            return Err(unknown_key(name, text, key));
        }
        let mut values = toml::Table::new();
        if let Some(preset) = written.remove("preset") {
            let known = || wrong(format!("preset = {preset:?} is unknown; there are {}", PRESETS.join(", ")));
            let base = preset.get_ref().as_str().and_then(presets::preset).ok_or_else(known)?;
            values = toml::Table::try_from(&base).map_err(|error| wrong(error.to_string()))?;
        }
        // Read alone first: only values that come straight from the text can say in which line they are wrong.
        let whole = 0..text.len();
        let alone = toml::Deserializer::from(Spanned::new(whole, written));
        let sidecar = Self::deserialize(alone).map_err(located)?;
        if values.is_empty() {
            sidecar.check().map_err(wrong)?;
            return Ok(sidecar);
        }
        let mut over: toml::Table = toml::from_str(text).map_err(located)?;
        over.remove("preset");
        values.extend(over);
        let sidecar: Self = values.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        sidecar.check().map_err(wrong)?;
        Ok(sidecar)
    }

    fn check(&self) -> Result<(), String> {
        if let Some([width, height]) = self.size
            && (width == 0 || height == 0 || width > 1 << 14 || height > 1 << 14)
        {
            return Err(format!("size = [{width}, {height}] is not from 1 to 16384 pixels a side"));
        }
        if self.std.iter().any(|std| !(std.is_finite() && *std > 0.0)) {
            return Err(format!("std = {:?} has a number that is not above 0", self.std));
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return Err(format!("mean = {:?} has something that is no number", self.mean));
        }
        if self.batch == 0 {
            return Err("batch = 0 would never run; write 1 or more".to_owned());
        }
        match &self.foreground {
            Some(Foreground::Channels(channels)) if channels.is_empty() => {
                Err("foreground = [] would make every picture empty; name the channels".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The values written out with their names, for a fingerprint: comments and order of the file do not matter.
    pub fn canonical(&self) -> String {
        // The struct holds nothing that JSON cannot, so the error has no way to occur.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn unknown_key(name: &str, text: &str, key: &Spanned<DeString<'_>>) -> Error {
    let line = text[..key.span().start.min(text.len())].matches('\n').count() + 1;
    let key = key.get_ref().to_string();
    let nearest = KEYS.iter().min_by_key(|known| strsim::damerau_levenshtein(known, &key));
    let advice = match nearest {
        Some(known) if strsim::damerau_levenshtein(known, &key) <= 3 => format!("did you mean `{known}`?"),
        _ => format!("the keys are {}", KEYS.join(", ")),
    };
    Error::UnknownKey { sidecar: name.to_owned(), line, key, advice }
}

/// Whether a licence's name says that commercial use is forbidden: `CC-BY-NC-4.0`, `nc`, `non-commercial`.
pub fn is_non_commercial(licence: &str) -> bool {
    let licence = licence.to_lowercase();
    let words = || licence.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words().any(|word| word == "nc" || word == "noncommercial")
        || words().zip(words().skip(1)).any(|pair| pair == ("non", "commercial"))
}

/// A resize filter by the word that the image room has for it.
mod filter_word {
    use crate::image::Filter;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(filter: &Filter, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(filter.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = [Filter::Lanczos3, Filter::Bilinear];
        let found = known.into_iter().find(|filter| filter.word() == word);
        found
            .ok_or_else(|| de::Error::custom(format!("`{word}` is no filter for pictures; write lanczos3 or bilinear")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Scale, Sidecar, is_non_commercial};

    #[test]
    fn a_licence_that_forbids_commercial_use_is_known_by_its_name() {
        for licence in ["CC-BY-NC-4.0", "nc", "bria-rmbg (non-commercial)", "NonCommercial", "CC BY-NC-SA 4.0"] {
            assert!(is_non_commercial(licence), "{licence}");
        }
        for licence in ["Apache-2.0", "MIT", "CC-BY-4.0", "ncsa", "commercial", "unknown", ""] {
            assert!(!is_non_commercial(licence), "{licence}");
        }
    }

    #[test]
    fn a_scale_reads_back_as_it_is_written() {
        for text in ["1/255", "1/max", "1", "1/127.5"] {
            let scale = Scale::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(scale), text);
        }
        for text in ["255", "1/0", "1/-1", "max", "1/inf"] {
            assert!(Scale::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_default_sidecar_survives_being_written_and_read() {
        let text = toml::to_string(&Sidecar::default()).unwrap();
        assert_eq!(Sidecar::parse("it.toml", &text).unwrap(), Sidecar::default());
    }
}
