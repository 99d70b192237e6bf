//! What all pages have.

use super::{File, Kind};

pub(super) fn files() -> [File; 3] {
    [
        File::embedded("/pages/style.css", Kind::Css, include_str!("../../assets/style.css")),
        File::embedded("/pages/icon.svg", Kind::Svg, include_str!("../../assets/icon.svg")),
        File::embedded("/pages/dom.js", Kind::Script, include_str!("../../assets/dom.js")),
    ]
}
