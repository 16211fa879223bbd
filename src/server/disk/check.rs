//! `entourage check-aof`: says how much of an append-only file is whole, and cuts off what is not,
//! or what was written later than it should have been.

use crate::engine::{Engine, Thresholds};
use crate::persist::{AofEnd, Manifest, Replay};
use crate::runtime::disk::{Disk, RealDisk, read_text};
use std::io::Read;
use std::path::Path;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// What to do with what is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AofRepair {
    /// Cut off what is not whole.
    pub fixes: bool,
    /// Cut off what was written after this time, in s since 1970.
    pub until_s: Option<u64>,
}

/// Looks through a file, or through all that a manifest names. Answers what to tell, and whether
/// all of it is whole now; `Err` says why nothing could be done.
pub fn check_aof(path: &Path, repair: AofRepair) -> Result<(String, bool), String> {
    let shown = path.display();
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|it| it.to_str());
    let name = name.ok_or_else(|| format!("{shown}: that is no file"))?;
    let changes = repair != AofRepair::default();
    if changes {
        for above in [Some(dir), dir.canonicalize().ok().as_deref().and_then(Path::parent)] {
            if above.is_some_and(RealDisk::is_in_use) {
                return Err(format!("{shown}: a server uses it; end that first"));
            }
        }
    }
    let disk = RealDisk::without_lock(dir).map_err(|why| format!("{shown}: {why}"))?;
    let names = match name.ends_with(".manifest") {
        false => vec![name.to_owned()],
        true => {
            let text = read_text(&disk, name).map_err(|why| format!("{shown}: {why}"))?;
            let text = text.ok_or_else(|| format!("{shown}: there is no such file"))?;
            let manifest = Manifest::parse(&text).map_err(|why| format!("{shown}: {why}"))?;
            manifest.parts().map(|it| it.name.clone()).collect()
        }
    };
    let (mut told, mut is_whole) = (String::new(), true);
    for (at, name) in names.iter().enumerate() {
        let may_cut = at + 1 == names.len();
        let repair = if may_cut { repair } else { AofRepair::default() };
        let (line, is_fine) = check_one(&disk, name, repair)?;
        told.push_str(&format!("{name}: {line}\n"));
        is_whole &= is_fine;
    }
    Ok((told, is_whole))
}

fn check_one(disk: &dyn Disk, name: &str, repair: AofRepair) -> Result<(String, bool), String> {
    let told = |why: std::io::Error| format!("{name}: {why}");
    let len = disk.len(name).map_err(told)?;
    let engine = Engine::new(0, Thresholds::default());
    let mut replay = Replay::looking(engine, repair.until_s);
    let mut file = disk.open(name).map_err(told)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut fault = None;
    while fault.is_none() {
        let count = file.read(&mut buffer).map_err(told)?;
        if count == 0 {
            break;
        }
        fault = replay.feed(&buffer[..count]).err();
    }
    let end = fault.map_or_else(|| replay.end_file(), Err);
    let (byte, why, is_asked) = match end {
        Ok(AofEnd::Whole) => return Ok((format!("whole, {len} bytes"), true)),
        Ok(AofEnd::Torn(byte)) => (byte, "it ends in the middle of a write".into(), repair.fixes),
        Ok(AofEnd::Until(byte)) => (byte, "what follows was written later".into(), true),
        Err(fault) => (replay.whole_bytes(), fault.to_string(), repair.fixes),
    };
    if !is_asked {
        return Ok((format!("{why}; whole are the writes before byte {byte}"), false));
    }
    disk.truncate(name, byte).map_err(told)?;
    Ok((format!("cut at byte {byte}, {} bytes are gone: {why}", len.saturating_sub(byte)), true))
}
