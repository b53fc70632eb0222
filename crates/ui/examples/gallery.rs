//! Writes every sample page to a folder, in light and in dark: `cargo run -p bursar-ui --example gallery -- OUT_DIR`.

use std::{env, fs, io, path::PathBuf};
use ui::{Theme, assets, samples};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "gallery".to_owned()));
    fs::create_dir_all(folder.join("assets"))?;
    for (name, content) in assets::files() {
        fs::write(folder.join("assets").join(name), content)?;
    }
    for (suffix, theme) in [("light", Theme::Light), ("dark", Theme::Dark)] {
        for sample in samples::samples(theme) {
            // Opened from a folder there is no server: assets stand beside the page, and no stream answers.
            let document = sample
                .document
                .into_string()
                .replace("=\"/assets/", "=\"assets/")
                .replace(" data-live=\"", " data-stream=\"");
            fs::write(folder.join(format!("{}-{suffix}.html", sample.name)), document)?;
        }
    }
    Ok(())
}
