//! The keys that seal secrets: several may be loaded, the newest seals. [PLT-8]

use crate::{Result, VaultError};
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use kit::{ExposeSecret, Randomness, Secret, Time, time::civil_from_days};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// The key file's name in the data folder.
pub const KEY_FILE: &str = "vault.keys";
/// Bytes of an AES-256 key.
const KEY_BYTES: usize = 32;
/// More keys than anybody rotates through; a longer list is a mistake.
const MOST_KEYS: usize = 32;
/// Longest name of a key.
const MOST_ID_CHARACTERS: usize = 32;

/// The loaded keys, newest first. Cheap to clone; its `Debug` shows the keys' names only.
#[derive(Clone)]
pub struct Keyring {
    /// Never empty, no name twice.
    keys: Arc<[Key]>,
    /// The file they were read from, if they were.
    file: Option<Arc<Path>>,
}

pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) cipher: LessSafeKey,
}

impl Keyring {
    /// Reads `id:base64,id2:base64`, newest first. Whitespace and line ends may stand between entries.
    ///
    /// # Errors
    /// `vault_keys_bad`, naming the entry but never showing its key.
    pub fn parse(text: &Secret) -> Result<Keyring> {
        let entries =
            text.expose_secret().split(|it: char| it == ',' || it.is_whitespace()).filter(|it| !it.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (position, entry) in entries.enumerate() {
            let key = parse_entry(entry).map_err(|reason| bad(format!("entry {}: {reason}", position + 1)))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(bad(format!("two keys are called `{}`", key.id)));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(bad("there is no key".to_owned())),
            count if count > MOST_KEYS => Err(bad(format!("{count} keys are more than {MOST_KEYS}"))),
            _ => Ok(Keyring { keys: keys.into(), file: None }),
        }
    }

    /// Reads `vault.keys` in the data folder, or makes it with one fresh key, readable for its owner only.
    ///
    /// # Errors
    /// `vault_key_file`, `vault_keys_bad`.
    pub fn load_or_create(data_dir: &Path, now: Time, randomness: &dyn Randomness) -> Result<Keyring> {
        let path = data_dir.join(KEY_FILE);
        if !fs::exists(&path).map_err(|error| unusable(&path, &error))? {
            fs::create_dir_all(data_dir).map_err(|error| unusable(&path, &error))?;
            create(&path, &Keyring::generate_entry(now, randomness)).map_err(|error| unusable(&path, &error))?;
        }
        Keyring::read_file(&path)
    }

    /// Puts a fresh key in front of those in the data folder's `vault.keys`, making the file if it is not there.
    /// Answers the key's name. A node that runs takes it up with its next rotation, or at its next start.
    ///
    /// # Errors
    /// `vault_key_file`, `vault_keys_bad`.
    pub fn add_to_folder(data_dir: &Path, now: Time, randomness: &dyn Randomness) -> Result<String> {
        let path = data_dir.join(KEY_FILE);
        let entry = Keyring::generate_entry(now, randomness);
        let old = if fs::exists(&path).map_err(|error| unusable(&path, &error))? {
            Keyring::read_file(&path)?;
            Zeroizing::new(fs::read_to_string(&path).map_err(|error| unusable(&path, &error))?)
        } else {
            fs::create_dir_all(data_dir).map_err(|error| unusable(&path, &error))?;
            Zeroizing::default()
        };
        let text = Secret::from(format!("{}\n{}", entry.expose_secret(), old.trim_end()).trim_end());
        // What would be refused at the next start must not be written.
        let keyring = Keyring::parse(&text)?;
        replace(&path, &text).map_err(|error| unusable(&path, &error))?;
        Ok(keyring.newest().id.clone())
    }

    /// Reads the file again that these keys came from, if they came from one.
    pub(crate) fn read_again(&self) -> Result<Option<Keyring>> {
        self.file.as_deref().map(Keyring::read_file).transpose()
    }

    fn read_file(path: &Path) -> Result<Keyring> {
        warn_if_others_can_read(path);
        let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| unusable(path, &error))?);
        let keyring = Keyring::parse(&Secret::from(text.as_str()))?;
        Ok(Keyring { file: Some(path.into()), ..keyring })
    }

    /// A fresh entry `id:base64`, to be put in front of the others. Its name tells the day it was made.
    pub fn generate_entry(now: Time, randomness: &dyn Randomness) -> Secret {
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        randomness.fill(&mut *key);
        let (year, month, day) = civil_from_days(now.utc_day());
        // Four characters more, so that two keys of one day have different names.
        let suffix = randomness.below(1 << 16);
        let encoded = Zeroizing::new(STANDARD.encode(*key));
        let entry = Zeroizing::new(format!("k{year:04}{month:02}{day:02}-{suffix:04x}:{}", encoded.as_str()));
        Secret::from(entry.as_str())
    }

    /// The keys' names, newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The key that seals. A keyring is never empty.
    pub(crate) fn newest(&self) -> &Key {
        &self.keys[0]
    }

    pub(crate) fn named(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn unusable(path: &Path, error: &io::Error) -> VaultError {
    VaultError::KeyFile { path: path.display().to_string(), reason: error.to_string() }
}

fn bad(reason: String) -> VaultError {
    VaultError::BadKeyring { reason }
}

/// The error says nothing of what stands behind the colon.
fn parse_entry(entry: &str) -> Result<Key, String> {
    let (id, encoded) = entry.split_once(':').ok_or("there is no `:` between a name and a key")?;
    let proper = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    if id.is_empty() || id.len() > MOST_ID_CHARACTERS || !id.chars().all(proper) {
        return Err(format!("a key's name has 1 to {MOST_ID_CHARACTERS} letters, digits, `-`, `_` or `.`"));
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| format!("the key `{id}` is not base64"))?);
    if bytes.len() != KEY_BYTES {
        return Err(format!("the key `{id}` has {} bytes instead of {KEY_BYTES}", bytes.len()));
    }
    let cipher = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| format!("the key `{id}` cannot be used"))?;
    Ok(Key { id: id.to_owned(), cipher: LessSafeKey::new(cipher) })
}

/// Writes the whole file under another name first: a crash in between must not leave an empty key file, and of two
/// programs starting at once one wins and both use its key.
fn create(path: &Path, text: &Secret) -> io::Result<()> {
    let draft = draft(path, text)?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Some file systems know no links; there the data folder's lock is what keeps a second program away.
        Err(_) => fs::copy(&draft, path).map(drop),
        Ok(()) => Ok(()),
    };
    let removed = fs::remove_file(&draft);
    sync_folder_of(path);
    linked.and(removed)
}

/// Puts another text in the file's place, at once.
fn replace(path: &Path, text: &Secret) -> io::Result<()> {
    fs::rename(draft(path, text)?, path)?;
    sync_folder_of(path);
    Ok(())
}

/// The text under another name, durable and readable for its owner only.
fn draft(path: &Path, text: &Secret) -> io::Result<PathBuf> {
    let draft = path.with_extension(format!("keys.{}", std::process::id()));
    let mut file = private_file(&draft)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    Ok(draft)
}

/// Not every system can sync a folder; where it can, a file's new name survives a power cut too.
fn sync_folder_of(path: &Path) {
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        let _ = folder.sync_all();
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn warn_if_others_can_read(path: &Path) {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
        if mode & 0o077 != 0 {
            let mode = format!("{:o}", mode & 0o777);
            tracing::warn!(path = %path.display(), mode, "others can read the vault's keys; run `chmod 600` on the file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::SeededRandomness;

    fn entry(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; 32]))
    }

    #[test]
    fn entries_are_read_newest_first() {
        let check = |text: String, expected: Result<&[&str], &str>| {
            let read = Keyring::parse(&Secret::from(text.as_str()));
            match (read, expected) {
                (Ok(keyring), Ok(ids)) => assert_eq!(keyring.ids().collect::<Vec<_>>(), ids),
                (Err(error), Err(part)) => {
                    assert_eq!(error.code(), "vault_keys_bad");
                    assert!(error.to_string().contains(part), "{error}");
                    assert!(!error.to_string().contains("AQEBAQ"), "{error}");
                }
                (read, expected) => panic!("{read:?} instead of {expected:?}"),
            }
        };
        check(entry("k1", 1), Ok(&["k1"]));
        check(format!("{},{}", entry("k2", 2), entry("k1", 1)), Ok(&["k2", "k1"]));
        check(format!("\n{} ,\n{}\n", entry("k2", 2), entry("k1", 1)), Ok(&["k2", "k1"]));
        check(String::new(), Err("there is no key"));
        check(" , \n".to_owned(), Err("there is no key"));
        check(STANDARD.encode([1; 32]), Err("entry 1: there is no `:`"));
        check(format!("{},k2", entry("k1", 1)), Err("entry 2: there is no `:`"));
        check(format!(":{}", STANDARD.encode([1; 32])), Err("a key's name"));
        check(entry("k/1", 1), Err("a key's name"));
        check(entry(&"k".repeat(33), 1), Err("a key's name"));
        check(format!("k1:{}", STANDARD.encode([1; 31])), Err("`k1` has 31 bytes"));
        check("k1:AQEBAQ!".to_owned(), Err("`k1` is not base64"));
        check(format!("{},{}", entry("k1", 1), entry("k1", 2)), Err("two keys are called `k1`"));
        check((0..33).map(|n| entry(&format!("k{n}"), n)).collect::<Vec<_>>().join(","), Err("33 keys"));
    }

    #[test]
    fn a_generated_entry_is_read_back_and_not_shown() {
        let randomness = SeededRandomness::new(7);
        let entry = Keyring::generate_entry(Time::from_seconds(1_768_478_400), &randomness);
        let keyring = Keyring::parse(&entry).unwrap();
        let name = keyring.ids().next().unwrap();
        assert!(name.starts_with("k20260115-"), "{name}");
        let (_, key) = entry.expose_secret().split_once(':').unwrap();
        assert!(!format!("{keyring:?} {entry:?}").contains(key));
        assert_ne!(
            entry.expose_secret(),
            Keyring::generate_entry(Time::from_seconds(1_768_478_400), &randomness).expose_secret()
        );
    }

    #[test]
    fn the_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("new");
        let make =
            |seed| Keyring::load_or_create(&data_dir, Time::from_seconds(0), &SeededRandomness::new(seed)).unwrap();
        let first = format!("{:?}", make(1));
        assert_eq!(first, format!("{:?}", make(2)), "the second start reads the first one's key");
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no draft is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(data_dir.join(KEY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let added = Keyring::add_to_folder(&data_dir, Time::from_seconds(0), &SeededRandomness::new(4)).unwrap();
        let both = make(5);
        assert_eq!(both.ids().next(), Some(added.as_str()), "the new key is the newest");
        assert!(format!("{both:?}").ends_with(&first[1..]), "the old one stays behind it");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(data_dir.join(KEY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(data_dir.join(KEY_FILE), "").unwrap();
        let refused = Keyring::add_to_folder(&data_dir, Time::from_seconds(0), &SeededRandomness::new(3));
        assert_eq!(refused.unwrap_err().code(), "vault_keys_bad", "nothing is built on a broken file");
        let refused = Keyring::load_or_create(&data_dir, Time::from_seconds(0), &SeededRandomness::new(3));
        assert_eq!(refused.unwrap_err().code(), "vault_keys_bad", "an emptied file is told, never replaced");
        let nowhere = folder.path().join("file");
        fs::write(&nowhere, "").unwrap();
        let refused = Keyring::load_or_create(&nowhere, Time::from_seconds(0), &SeededRandomness::new(3));
        assert_eq!(refused.unwrap_err().code(), "vault_key_file");
    }
}
