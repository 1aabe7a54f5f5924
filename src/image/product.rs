//! stub
#![allow(missing_docs)]
use super::*;
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Png,
    Jpeg,
    WebP,
    Tiff,
}
impl Form {
    pub fn from_word(w: &str) -> Option<Self> {
        match w {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            _ => "jpg",
        }
    }
}
#[derive(Clone, Debug, PartialEq)]
pub struct Backdrop {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}
#[derive(Clone, Debug, PartialEq)]
pub enum Background {
    Colour([u8; 3]),
    Picture(std::sync::Arc<Backdrop>),
}
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    pub form: Form,
    pub background: Option<Background>,
}
impl Default for Product {
    fn default() -> Self {
        Self::of_form(Form::Png)
    }
}
impl Product {
    pub fn of_form(form: Form) -> Self {
        Self { form, background: None }
    }
    pub fn check(&self) -> Result<(), String> {
        Ok(())
    }
    pub fn extension(&self) -> &'static str {
        self.form.extension()
    }
    pub fn canonical(&self) -> String {
        format!("{self:?}")
    }
}
pub struct Made {
    pub bytes: Vec<u8>,
    pub violations: Vec<String>,
}
pub fn make(cutout: &Cutout, dpi: Option<(f32, f32)>, _: &Product) -> Result<Made, Error> {
    Ok(Made { bytes: encode::png_rgba(cutout, dpi)?, violations: vec![] })
}
