//! Published checkpoints by name: where they lie, and under which terms. Must not know how they are fetched.

/// A checkpoint that can be fetched by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What it is called here.
    pub name: &'static str,
    /// The folder of its file below [`OPENMMLAB`].
    folder: &'static str,
    /// The file; the eight digits at its end are the beginning of its SHA-256.
    pub file: &'static str,
    /// Its terms, as far as they are known here.
    pub licence: &'static str,
}

/// Where OpenMMLab publishes the checkpoints of mmsegmentation.
const OPENMMLAB: &str = "https://download.openmmlab.com/mmsegmentation/v0.5";

const TERMS: &str = "\
Published by OpenMMLab with mmsegmentation under the Apache License 2.0
  (https://github.com/open-mmlab/mmsegmentation/blob/main/LICENSE).
Trained on ADE20K, whose images may be used for non-commercial research and education only
  (https://ade20k.csail.mit.edu/terms/), from an encoder pre-trained on ImageNet, whose images may be used so too
  (https://www.image-net.org/download.php).
What this means for your use of the weights is for you to judge; check the terms at these addresses.";

const fn known(name: &'static str, folder: &'static str, file: &'static str) -> Known {
    Known { name, folder, file, licence: TERMS }
}

/// The checkpoints with 150 classes of ADE20K, 512×512 (ViT-L of Segmenter: 640×640) and patches of 16 pixels.
pub const KNOWN: [Known; 9] = [
    known(
        "segmenter-vit-t-mask-ade20k",
        "segmenter/segmenter_vit-t_mask_8x1_512x512_160k_ade20k",
        "segmenter_vit-t_mask_8x1_512x512_160k_ade20k_20220105_151706-ffcf7509.pth",
    ),
    known(
        "segmenter-vit-s-linear-ade20k",
        "segmenter/segmenter_vit-s_linear_8x1_512x512_160k_ade20k",
        "segmenter_vit-s_linear_8x1_512x512_160k_ade20k_20220105_151713-39658c46.pth",
    ),
    known(
        "segmenter-vit-s-mask-ade20k",
        "segmenter/segmenter_vit-s_mask_8x1_512x512_160k_ade20k",
        "segmenter_vit-s_mask_8x1_512x512_160k_ade20k_20220105_151706-511bb103.pth",
    ),
    known(
        "segmenter-vit-b-mask-ade20k",
        "segmenter/segmenter_vit-b_mask_8x1_512x512_160k_ade20k",
        "segmenter_vit-b_mask_8x1_512x512_160k_ade20k_20220105_151706-bc533b08.pth",
    ),
    known(
        "segmenter-vit-l-mask-ade20k",
        "segmenter/segmenter_vit-l_mask_8x1_512x512_160k_ade20k",
        "segmenter_vit-l_mask_8x1_512x512_160k_ade20k_20220105_162750-7ef345be.pth",
    ),
    known(
        "setr-naive-ade20k",
        "setr/setr_naive_512x512_160k_b16_ade20k",
        "setr_naive_512x512_160k_b16_ade20k_20210619_191258-061f24f5.pth",
    ),
    known(
        "setr-pup-ade20k",
        "setr/setr_pup_512x512_160k_b16_ade20k",
        "setr_pup_512x512_160k_b16_ade20k_20210619_191343-7e0ce826.pth",
    ),
    known(
        "setr-mla-ade20k",
        "setr/setr_mla_512x512_160k_b16_ade20k",
        "setr_mla_512x512_160k_b16_ade20k_20210619_191057-f9741de7.pth",
    ),
    known(
        "setr-mla-b8-ade20k",
        "setr/setr_mla_512x512_160k_b8_ade20k",
        "setr_mla_512x512_160k_b8_ade20k_20210619_191118-c6d21df0.pth",
    ),
];

impl Known {
    /// The checkpoint of a name, or of a file's name.
    pub fn find(word: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == word || known.file == word)
    }

    /// Where its file lies.
    pub fn url(&self) -> String {
        format!("{OPENMMLAB}/{}/{}", self.folder, self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_lies_in_a_folder_of_its_name_and_ends_with_its_checksum() {
        for known in &KNOWN {
            let folder = known.folder.rsplit('/').next().unwrap_or_default();
            assert!(known.file.starts_with(folder), "{known:?}");
            let digits = known.file.trim_end_matches(".pth").rsplit('-').next().unwrap_or_default();
            assert!(digits.len() == 8 && u32::from_str_radix(digits, 16).is_ok(), "{known:?}");
            assert_eq!(Known::find(known.file), Known::find(known.name));
        }
    }
}
